package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
)

const (
	// nonceSize is the length of XAES-256-GCM's nonces in bytes.
	nonceSize = halfSize + 12
	halfSize  = 12
)

// xaes is XAES-256-GCM under one key (https://c2sp.org/XAES-256-GCM): the first
// half of the nonce selects a key, derived with CMAC as NIST SP 800-108r1 has it.
// AES-256-GCM uses that key with the second half as its nonce. Both halves of a
// nonce are random.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's subkey for whole blocks (NIST SP 800-38B, 6.1)
}

// newXAES returns the cipher for a key of KeySize bytes.
func newXAES(key []byte) *xaes {
	x := &xaes{block: newAES(key)}
	x.block.Encrypt(x.k1[:], x.k1[:])
	carry := byte(0)
	for i := len(x.k1) - 1; i >= 0; i-- {
		x.k1[i], carry = x.k1[i]<<1|carry, x.k1[i]>>7
	}
	x.k1[len(x.k1)-1] ^= carry * 0b10000111
	return x
}

// derive returns AES under the key that the first half of a nonce selects.
func (x *xaes) derive(half []byte) cipher.Block {
	var key [KeySize]byte
	defer clear(key[:])
	for i := range 2 {
		part := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(part, []byte{0, byte(i + 1), 'X', 0})
		copy(part[4:], half)
		subtle.XORBytes(part, part, x.k1[:])
		x.block.Encrypt(part, part)
	}
	return newAES(key[:])
}

// seal appends a random nonce and the sealed plaintext to dst.
func (x *xaes) seal(dst, plaintext, context []byte) []byte {
	var half [halfSize]byte
	rand.Read(half[:]) // never fails
	return x.gcm(half[:]).Seal(append(dst, half[:]...), nil, plaintext, context)
}

// open returns what seal appended in sealed.
func (x *xaes) open(sealed, context []byte) ([]byte, error) {
	return x.gcm(sealed[:halfSize]).Open(nil, nil, sealed[halfSize:], context)
}

// gcm returns AES-256-GCM for nonces that begin with half. It puts the second half
// in front of what it seals; FIPS 140 allows only nonces that GCM draws itself.
func (x *xaes) gcm(half []byte) cipher.AEAD {
	gcm, err := cipher.NewGCMWithRandomNonce(x.derive(half))
	if err != nil {
		panic(err) // the block's size is right
	}
	return gcm
}

func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length is right
	}
	return block
}
