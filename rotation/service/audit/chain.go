package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Position is the place of a record in the chain of its file. The zero value is the
// place before the first record.
type Position struct {
	// Seq is the sequence number of the record, from 1 in each file.
	Seq int64 `json:"seq"`
	// Hash is 64 hexadecimal digits: the SHA-256 hash of the hash of the previous
	// record in this form (64 zeros for the first record) followed by the bytes of
	// the record up to its member hash.
	Hash string `json:"hash"`
}

// The members that end a chained record.
const (
	seqMember  = `,"seq":`
	hashMember = `,"hash":"`
	recordEnd  = `"}`
	hashSize   = 2 * sha256.Size
)

// maxRecord is the maximum length of a record in bytes, so that a Verifier can read it.
const maxRecord = 512 << 10

var errNotRecord = errors.New("audit: not a JSON object on a line of its own, of up to 512 KiB")

// next returns the record at the next position, and that position. The record is a
// JSON object with at least one member, and a line end.
func (p Position) next(record []byte) ([]byte, Position, error) {
	body, ok := bytes.CutSuffix(record, []byte("}\n"))
	if !ok || len(body) < 2 || len(body) > maxRecord || body[0] != '{' || bytes.IndexByte(body, '\n') >= 0 {
		return nil, p, errNotRecord
	}
	line := make([]byte, 0, len(body)+len(seqMember)+20+len(hashMember)+hashSize+len(recordEnd)+1)
	line = append(line, body...)
	line = fmt.Appendf(line, "%s%d", seqMember, p.Seq+1)
	n := Position{Seq: p.Seq + 1, Hash: p.sum(line)}
	line = append(line, hashMember+n.Hash+recordEnd+"\n"...)
	return line, n, nil
}

// sum returns the hash of the record after p, whose bytes up to the hash are body.
func (p Position) sum(body []byte) string {
	h := sha256.New()
	if p.Hash == "" {
		io.WriteString(h, strings.Repeat("0", hashSize))
	}
	io.WriteString(h, p.Hash)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// parseChained returns the position that ends the line of a record, without its line
// end, and the bytes before the hash. It returns false for any other line.
func parseChained(line []byte) (body []byte, p Position, ok bool) {
	rest, ok := bytes.CutSuffix(line, []byte(recordEnd))
	if !ok || len(rest) < hashSize {
		return nil, p, false
	}
	rest, hash := rest[:len(rest)-hashSize], string(rest[len(rest)-hashSize:])
	if strings.Trim(hash, "0123456789abcdef") != "" {
		return nil, p, false
	}
	body, ok = bytes.CutSuffix(rest, []byte(hashMember))
	if !ok {
		return nil, p, false
	}
	digits := body[bytes.LastIndexByte(body, ':')+1:]
	seq, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || seq < 1 || !bytes.HasSuffix(body, fmt.Append(nil, seqMember, seq)) {
		return nil, p, false
	}
	return body, Position{seq, hash}, true
}

// maxEnd is how much of a file's end is searched for its last chained record, in
// bytes.
const maxEnd = 1 << 20

// lastPosition returns the position of the last chained record in the last 1 MiB. It
// skips other lines, such as one that a crash has cut off. It returns the zero
// Position if there is no chained record, as in a file of an earlier version.
func lastPosition(file io.ReaderAt, size int64) (Position, error) {
	for window := int64(4 << 10); ; window *= 16 {
		from := max(size-window, 0)
		text := make([]byte, size-from)
		if _, err := file.ReadAt(text, from); err != nil && len(text) > 0 {
			return Position{}, err
		}
		for len(text) > 0 {
			text = bytes.TrimSuffix(text, []byte("\n"))
			begin := bytes.LastIndexByte(text, '\n') + 1 // the line may begin before the window: its end is enough
			if _, p, ok := parseChained(text[begin:]); ok {
				return p, nil
			}
			text = text[:begin]
		}
		if from == 0 || window >= maxEnd {
			return Position{}, nil
		}
	}
}
