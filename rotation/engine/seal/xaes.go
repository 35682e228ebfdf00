package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"sync/atomic"
)

const (
	// nonceSize is the length of XAES-256-GCM's nonces in bytes.
	nonceSize = halfSize + 12
	halfSize  = 12
	// sharing is how many nonces share their first half: far fewer than the 2³²
	// that their second halves, drawn at random, are good for.
	sharing = 1 << 20
)

// xaes is XAES-256-GCM under one key (https://c2sp.org/XAES-256-GCM): the first
// half of the nonce selects a key, derived as NIST SP 800-108r1 has it with CMAC,
// under which AES-256-GCM takes the second half as its nonce.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's subkey for whole blocks (NIST SP 800-38B, 6.1)

	sealing atomic.Pointer[derived]
	recent  [64]atomic.Pointer[derived] // by the first byte of their halves
}

// derived is the cipher of the nonces that begin with one half. Deriving it costs
// three times what it then does.
type derived struct {
	cipher.AEAD
	half [halfSize]byte
	left atomic.Int32 // how many more nonces may begin so
}

// newXAES takes a key of KeySize bytes.
func newXAES(key []byte) *xaes {
	x := new(xaes)
	var err error
	if x.block, err = aes.NewCipher(key); err != nil {
		panic(err) // the length is right
	}
	x.block.Encrypt(x.k1[:], x.k1[:])
	carry := byte(0)
	for i := len(x.k1) - 1; i >= 0; i-- {
		x.k1[i], carry = x.k1[i]<<1|carry, x.k1[i]>>7
	}
	x.k1[len(x.k1)-1] ^= carry * 0b10000111
	return x
}

// of returns the cipher for nonces that begin with that half.
func (x *xaes) of(half [halfSize]byte) *derived {
	slot := &x.recent[int(half[0])%len(x.recent)]
	d := slot.Load()
	if d == nil || d.half != half {
		d = &derived{AEAD: x.gcm(half), half: half}
		slot.Store(d)
	}
	return d
}

func (x *xaes) gcm(nonce [halfSize]byte) cipher.AEAD {
	var key [KeySize]byte
	defer clear(key[:])
	for i := range 2 {
		part := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(part, []byte{0, byte(i + 1), 'X', 0})
		copy(part[4:], nonce[:])
		subtle.XORBytes(part, part, x.k1[:])
		x.block.Encrypt(part, part)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the length is right
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the block's size is right
	}
	return gcm
}

// nonce fills in a new nonce.
func (x *xaes) nonce(nonce []byte) {
	rand.Read(nonce) // never fails
	d := x.sealing.Load()
	if d == nil || d.left.Add(-1) < 0 {
		d = x.of([halfSize]byte(nonce))
		d.left.Store(sharing)
		x.sealing.Store(d)
	}
	copy(nonce, d.half[:])
}

// seal appends what is sealed to dst.
func (x *xaes) seal(dst, nonce, plaintext, context []byte) []byte {
	return x.of([halfSize]byte(nonce)).Seal(dst, nonce[halfSize:], plaintext, context)
}

func (x *xaes) open(nonce, ciphertext, context []byte) ([]byte, error) {
	return x.of([halfSize]byte(nonce)).Open(nil, nonce[halfSize:], ciphertext, context)
}
