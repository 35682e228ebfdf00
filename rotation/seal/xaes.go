package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// nonceSize is the length of XAES-256-GCM's nonces in bytes.
const nonceSize = 24

// xaes is XAES-256-GCM under one key (https://c2sp.org/XAES-256-GCM): the first
// half of the nonce selects a key, derived as NIST SP 800-108r1 has it with CMAC,
// under which AES-256-GCM takes the second half as its nonce.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's subkey for whole blocks (NIST SP 800-38B, 6.1)
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

// gcm returns the cipher for nonces that begin as this one does.
func (x *xaes) gcm(nonce []byte) cipher.AEAD {
	var key [KeySize]byte
	defer clear(key[:])
	for i := range 2 {
		half := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(half, []byte{0, byte(i + 1), 'X', 0})
		copy(half[4:], nonce[:12])
		subtle.XORBytes(half, half, x.k1[:])
		x.block.Encrypt(half, half)
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

// seal appends what is sealed to dst.
func (x *xaes) seal(dst, nonce, plaintext, context []byte) []byte {
	return x.gcm(nonce).Seal(dst, nonce[12:], plaintext, context)
}

func (x *xaes) open(nonce, ciphertext, context []byte) ([]byte, error) {
	return x.gcm(nonce).Open(nil, nonce[12:], ciphertext, context)
}
