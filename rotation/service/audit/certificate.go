package audit

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"cvvrotation/rotation/internal/panmask"
)

// Certificate identifies a client certificate. The zero value means none.
type Certificate struct {
	// Name is the subject's common name, or else the first DNS name or URI. Empty if
	// there is none that is fit for logs.
	Name string
	// Serial is the serial number in hexadecimal, as openssl x509 -serial prints it.
	Serial string
	// SHA256 is the SHA-256 fingerprint of the certificate in hexadecimal.
	SHA256 string
}

// maxCertificateName is the maximum length of a certificate's name in bytes.
const maxCertificateName = 255

// CertificateOf returns what identifies the certificate.
func CertificateOf(c *x509.Certificate) Certificate {
	sum := sha256.Sum256(c.Raw)
	id := Certificate{SHA256: hex.EncodeToString(sum[:])}
	if c.SerialNumber != nil {
		id.Serial = strings.ToUpper(hex.EncodeToString(c.SerialNumber.Bytes()))
	}
	names := append([]string{c.Subject.CommonName}, c.DNSNames...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	for _, name := range names {
		if fitForLogs(name) {
			id.Name = name
			break
		}
	}
	return id
}

func fitForLogs(name string) bool {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	return name != "" && len(name) <= maxCertificateName && utf8.ValidString(name) && !strings.ContainsFunc(name, unprintable)
}

// LogValue returns a group of the known fields: name, serial and sha256.
func (c Certificate) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, a := range []slog.Attr{slog.String("name", panmask.Mask(c.Name)), slog.String("serial", c.Serial), slog.String("sha256", c.SHA256)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	return slog.GroupValue(attrs...)
}
