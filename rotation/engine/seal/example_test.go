package seal_test

import (
	"errors"
	"fmt"

	"cvvrotation/rotation/engine/seal"
)

// A key is replaced by a new one: what the old key sealed is re-encrypted.
func Example() {
	const first = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" // from a file
	const second = "2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
	card := []byte("card A, version 1")

	old, err := seal.ParseKeys(first)
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed := old.Seal([]byte("123"), card)

	keys, err := seal.ParseKeys(second + " " + first)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := keys.Open(sealed, card)
	fmt.Println(string(plain), err, "current:", keys.Current(sealed))

	sealed = keys.Seal(plain, card)
	fmt.Println(keys, "current:", keys.Current(sealed))

	_, err = keys.Open(sealed, []byte("card B, version 1"))
	fmt.Println(errors.Is(err, seal.ErrOpen))
	// Output:
	// 123 <nil> current: false
	// keyring that seals with key 2 current: true
	// true
}
