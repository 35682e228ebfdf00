package cvvgen

import (
	"context"
	"crypto/cipher"
	"crypto/des"
	"crypto/fips140"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cvvrotation/servicecode"
	"cvvrotation/sim/must"

	"pgregory.net/rapid"
)

// twin is the algorithm written another way: on text, as a CBC encryption whose
// last step is triple DES with the key A‖B‖A. It returns all 16 digits, decimal
// ones first.
func twin(pair []byte, fed string) (digits string, decimals int) {
	hex := fed + strings.Repeat("0", 32-len(fed))
	block := make([]byte, 16)
	for i := range block {
		b := get(strconv.ParseUint(hex[2*i:2*i+2], 16, 8))
		block[i] = byte(b)
	}
	single := get(des.NewCipher(pair[:8]))
	triple := get(des.NewTripleDESCipher(slices.Concat(pair, pair[:8])))
	first := make([]byte, 8)
	cipher.NewCBCEncrypter(single, make([]byte, 8)).CryptBlocks(first, block[:8])
	last := make([]byte, 8)
	cipher.NewCBCEncrypter(triple, first).CryptBlocks(last, block[8:])

	text := fmt.Sprintf("%x", last)
	keep := func(set string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(set, r) {
				return r
			}
			return -1
		}, text)
	}
	decimal := keep("0123456789")
	letters := strings.NewReplacer("a", "0", "b", "1", "c", "2", "d", "3", "e", "4", "f", "5").Replace(keep("abcdef"))
	return decimal + letters, len(decimal)
}

const visaTestKey = "0123456789ABCDEF FEDCBA9876543210"

// vectors are published known answers with published test keys.
var vectors = []struct {
	pair, pan   string
	order       ExpiryOrder
	expiry, sc  string
	answer      string
	answerLong  string // up to 8 digits, where published
	strictError error  // of NewCVK, nil for a key an issuer might use
	noSuchMonth bool
}{
	{visaTestKey, "4123456789012345", ExpiryOrderYYMM, "8701", "101", "561", "56149820", nil, false},
	{visaTestKey, "4123456789012", ExpiryOrderYYMM, "8701", "101", "370", "", nil, false},
	{visaTestKey, "4123456789012345", ExpiryOrderYYMM, "8701", "111", "856", "", nil, false},
	{visaTestKey, "4999988887777", ExpiryOrderYYMM, "9105", "111", "649", "", nil, false},
	{visaTestKey, "4666655554444", ExpiryOrderYYMM, "9206", "120", "821", "", nil, false},
	{visaTestKey, "4999988887777000", ExpiryOrderYYMM, "9105", "111", "245", "", nil, false},
	{visaTestKey, "4333322221111222", ExpiryOrderYYMM, "9307", "141", "382", "", nil, false},
	{visaTestKey, "4123456789012345", ExpiryOrderYYMM, "8701", "201", "098", "09828", nil, false},
	{visaTestKey, "4123456789012349", ExpiryOrderYYMM, "2511", "201", "526", "52630622", nil, false},
	{visaTestKey, "1234567890123456", ExpiryOrderYYMM, "9912", "220", "170", "", nil, false},
	{visaTestKey, "4111111111111111", ExpiryOrderYYMM, "2512", "201", "139", "", nil, false},
	{visaTestKey, "4111111111111111", ExpiryOrderYYMM, "2512", "999", "133", "", nil, false},
	{visaTestKey, "4111111111111111", ExpiryOrderYYMM, "2512", "000", "765", "", nil, false},
	{"9999999999999999 8888888888888888", "2222222222222222", ExpiryOrderYYMM, "3333", "111", "361", "", ErrKeyParity, true},
	{"4C37C8319D76ADAB 58D9431543C2165B", "4433678298261175", ExpiryOrderMMYY, "0916", "101", "478", "", nil, false},
	{"1234567812345678 1234567812345678", "123456789012", ExpiryOrderYYMM, "1108", "000", "204", "", ErrKeyParity, false},
	{"1234567812345678 8765432187654321", "123456789012", ExpiryOrderYYMM, "1108", "000", "453", "", ErrKeyParity, false},
	{"1313131313131313 1313131313131313", "4444333322221111", ExpiryOrderYYMM, "9911", "101", "662", "", ErrEqualHalves, false},
	{"1313131313131313 1313131313131313", "4444333322221111", ExpiryOrderYYMM, "9911", "000", "114", "", ErrEqualHalves, false},
	{"1313131313131313 1313131313131313", "4444333322221111", ExpiryOrderYYMM, "9911", "999", "163", "", ErrEqualHalves, false},
	{"D676DCF3AFB73505 32EAF00EA253D875", "4123450990122129", ExpiryOrderMMYY, "0721", "202", "241", "2410", ErrKeyParity, false},

	// Found by search, for the fallback to A–F: the results have 4, 3, 2, 1 and 0
	// decimal digits.
	{visaTestKey, "4000000000000013", ExpiryOrderYYMM, "2511", "201", "680", "68031", nil, false},
	{visaTestKey, "4000000000002402", ExpiryOrderYYMM, "2511", "201", "323", "32300", nil, false},
	{visaTestKey, "4000000000003118", ExpiryOrderYYMM, "2511", "201", "411", "41141", nil, false},
	{visaTestKey, "4000000000002930", ExpiryOrderYYMM, "2511", "201", "133", "13321", nil, false},
	{visaTestKey, "4000000002024465", ExpiryOrderYYMM, "2511", "201", "314", "31442", nil, false},
}

func TestDerive_FollowsPublishedVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.pan+" "+v.sc, func(t *testing.T) {
			pair := unhex(v.pair)
			if _, err := NewCVK(pair); !errors.Is(err, v.strictError) {
				t.Errorf("NewCVK: %v, want %v", err, v.strictError)
			}
			key := must.Get(NewInsecureTestCVK(pair))(t)
			fed := v.pan + v.expiry + v.sc
			if got, _ := twin(pair, fed); !strings.HasPrefix(got, v.answer) || !strings.HasPrefix(got, v.answerLong) {
				t.Errorf("the twin gives %s, want %s and %s", got, v.answer, v.answerLong)
			}
			var block [16]byte
			key.result(&block, []byte(fed))
			if got := fmt.Sprintf("%03d", decimalize((*[8]byte)(block[:8]), 3)); got != v.answer {
				t.Errorf("the core gives %s, want %s", got, v.answer)
			}

			expiry, err := ParseExpiry(v.order, v.expiry)
			if v.noSuchMonth {
				if !errors.Is(err, ErrSyntax) {
					t.Errorf("ParseExpiry: %v, want ErrSyntax", err)
				}
				return
			}
			must.Do(t, err)
			card := Card{mustPAN(v.pan), expiry}
			answers := []string{v.answer}
			for n := 4; n <= min(5, len(v.answerLong)); n++ {
				answers = append(answers, v.answerLong[:n])
			}
			for _, want := range answers {
				local := must.Get(NewLocal(key, v.order, len(want)))(t)
				got, err := local.Derive(context.Background(), card, servicecode.MustParse(v.sc))
				if err != nil || got.Reveal() != want {
					t.Errorf("Derive gives %s, %v; want %s", got.Reveal(), err, want)
				}
			}
		})
	}
}

// The five vectors found by search are of any use only as long as they need the
// fallback.
func TestVectors_CoverFallbackToLetters(t *testing.T) {
	have := map[int]bool{}
	for _, v := range vectors {
		if _, decimals := twin(unhex(v.pair), v.pan+v.expiry+v.sc); decimals < 5 {
			have[decimals] = true
		}
	}
	for decimals := range 5 {
		if !have[decimals] {
			t.Errorf("no vector whose result has %d decimal digits", decimals)
		}
	}
}

func TestDecimalize_DecimalDigitsFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Hex digits, with letters much more often than by chance.
		hex := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789abcdefabcdefabcdefabcdefabcdef")), 16, 16, -1).Draw(t, "result")
		n := rapid.IntRange(3, 5).Draw(t, "digits")
		var decimal, letters []byte
		for _, c := range []byte(hex) {
			if c <= '9' {
				decimal = append(decimal, c)
			} else {
				letters = append(letters, c-'a'+'0')
			}
		}
		want := string(append(decimal, letters...)[:n])
		if got := fmt.Sprintf("%0*d", n, decimalize((*[8]byte)(unhex(hex)), n)); got != want {
			t.Fatalf("decimalize(%s, %d) = %s, want %s", hex, n, got, want)
		}
	})
}

func TestDerive_AgreesWithTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pair := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "pair")
		pan := rapid.StringMatching(`[0-9]{8,19}`).Draw(t, "PAN")
		year := rapid.IntRange(0, 99).Draw(t, "year")
		month := rapid.IntRange(1, 12).Draw(t, "month")
		code := fmt.Sprintf("%03d", rapid.IntRange(0, 999).Draw(t, "service code"))
		order := rapid.SampledFrom([]ExpiryOrder{ExpiryOrderYYMM, ExpiryOrderMMYY}).Draw(t, "order")
		n := rapid.IntRange(3, 5).Draw(t, "digits")

		written := fmt.Sprintf("%02d%02d", year, month)
		if order == ExpiryOrderMMYY {
			written = fmt.Sprintf("%02d%02d", month, year)
		}
		want, _ := twin(pair, pan+written+code)

		key := must.Get(NewInsecureTestCVK(pair))(t)
		local := must.Get(NewLocal(key, order, n))(t)
		expiry := must.Get(ParseExpiry(order, written))(t)
		got, err := local.Derive(context.Background(), Card{mustPAN(pan), expiry}, servicecode.MustParse(code))
		if err != nil || got.Reveal() != want[:n] {
			t.Fatalf("Derive gives %s, %v; want %s", got.Reveal(), err, want[:n])
		}
	})
}

func TestDerive_NamesMissingValue(t *testing.T) {
	local := testLocal(t, 3)
	card := testCard()
	code := servicecode.MustParse("201")
	for _, tt := range []struct {
		card Card
		code servicecode.Code
		want string
	}{
		{Card{Expiry: card.Expiry}, code, "cvvgen: missing value: PAN"},
		{Card{PAN: card.PAN}, code, "cvvgen: missing value: expiry"},
		{card, servicecode.Code{}, "cvvgen: missing value: service code"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			c, err := local.Derive(context.Background(), tt.card, tt.code)
			if !errors.Is(err, ErrMissing) || err.Error() != tt.want || c.IsValid() {
				t.Errorf("Derive: %v, %v; want no CVV and %q", c, err, tt.want)
			}
		})
	}
}

func TestNewLocal_Refuses(t *testing.T) {
	key := must.Get(NewCVK(unhex(visaTestKey)))(t)
	for _, tt := range []struct {
		key    CVK
		order  ExpiryOrder
		digits int
		want   error
	}{
		{CVK{}, ExpiryOrderYYMM, 3, ErrMissing},
		{key, 0, 3, ErrExpiryOrder},
		{key, 3, 3, ErrExpiryOrder},
		{key, ExpiryOrderYYMM, 0, ErrDigits},
		{key, ExpiryOrderYYMM, 2, ErrDigits},
		{key, ExpiryOrderYYMM, 6, ErrDigits},
		{key, ExpiryOrderMMYY, 3, nil},
		{key, ExpiryOrderYYMM, 5, nil},
	} {
		t.Run(fmt.Sprint(tt.order, tt.digits, tt.want), func(t *testing.T) {
			if _, err := NewLocal(tt.key, tt.order, tt.digits); !errors.Is(err, tt.want) {
				t.Errorf("NewLocal(%v, %v, %d): %v, want %v", tt.key.IsValid(), tt.order, tt.digits, err, tt.want)
			}
		})
	}
}

func TestNewCVK_Refuses(t *testing.T) {
	for _, tt := range []struct {
		pair string
		want error
		text string
	}{
		{"", ErrKeyLength, "cvvgen: a CVK pair has 16 bytes, got 0"},
		{"0123456789ABCDEF", ErrKeyLength, "cvvgen: a CVK pair has 16 bytes, got 8"},
		{visaTestKey + "0123456789ABCDEF", ErrKeyLength, "cvvgen: a CVK pair has 16 bytes, got 24"},
		{"0123456789ABCDEE FEDCBA9876543210", ErrKeyParity, "cvvgen: even parity in CVK, which is mistyped or wrongly decrypted: half A, byte 8 of 8"},
		{"0123456789ABCDEF FFDCBA9876543210", ErrKeyParity, "cvvgen: even parity in CVK, which is mistyped or wrongly decrypted: half B, byte 1 of 8"},
		{"0101010101010101 FEDCBA9876543210", ErrWeakKey, "cvvgen: weak or semi-weak DES key in CVK: half A"},
		{"0123456789ABCDEF FE01FE01FE01FE01", ErrWeakKey, "cvvgen: weak or semi-weak DES key in CVK: half B"},
		{"0123456789ABCDEF 0123456789ABCDEF", ErrEqualHalves, "cvvgen: CVK halves A and B are the same key"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			if k, err := NewCVK(unhex(tt.pair)); !errors.Is(err, tt.want) || err.Error() != tt.text || k.IsValid() {
				t.Errorf("NewCVK: error %q, want %q", err, tt.text)
			}
		})
	}
	if k, err := NewInsecureTestCVK(make([]byte, 15)); !errors.Is(err, ErrKeyLength) || k.IsValid() {
		t.Errorf("NewInsecureTestCVK of 15 bytes: %v, want ErrKeyLength", err)
	}
	if k, err := NewInsecureTestCVK(make([]byte, 16)); err != nil || !k.IsValid() {
		t.Errorf("NewInsecureTestCVK of zeros: %v", err)
	}
}

// NewCVK does not keep the caller's slice, which may be cleared.
func TestNewCVK_KeepsNoReference(t *testing.T) {
	pair := unhex(visaTestKey)
	key := must.Get(NewCVK(pair))(t)
	clear(pair)
	local := must.Get(NewLocal(key, ExpiryOrderYYMM, 3))(t)
	got, err := local.Derive(context.Background(), testCard(), servicecode.MustParse("201"))
	if err != nil || got.Reveal() != "526" {
		t.Errorf("after clearing the pair Derive gives another CVV (error %v)", err)
	}
}

// The listed weak keys are their own inverse, the semi-weak ones come in pairs
// of inverses: that is what makes them weak, and pins the list to the cipher.
func TestWeakKeys_AreWeak(t *testing.T) {
	seen := map[uint64]bool{}
	for i, k := range weakKeys {
		other := k
		if i >= 4 {
			other = weakKeys[i^1]
			if other == k {
				t.Errorf("key %d is paired with itself", i)
			}
		}
		first := must.Get(des.NewCipher(keyBytes(k)))(t)
		second := must.Get(des.NewCipher(keyBytes(other)))(t)
		var x [8]byte
		first.Encrypt(x[:], []byte("8 bytes!"))
		second.Encrypt(x[:], x[:])
		if string(x[:]) != "8 bytes!" {
			t.Errorf("key %d does not undo its partner", i)
		}
		for _, b := range keyBytes(k) {
			if bits.OnesCount8(b)%2 == 0 {
				t.Errorf("key %d has even parity", i)
			}
		}
		if seen[k] {
			t.Errorf("key %d is listed twice", i)
		}
		seen[k] = true

		good := unhex("FEDCBA9876543210")
		for _, pair := range [][]byte{slices.Concat(keyBytes(k), good), slices.Concat(good, keyBytes(k))} {
			if _, err := NewCVK(pair); !errors.Is(err, ErrWeakKey) {
				t.Errorf("key %d: %v, want ErrWeakKey", i, err)
			}
		}
	}
}

func keyBytes(k uint64) []byte { return unhex(fmt.Sprintf("%016X", k)) }

const fipsEnv = "CVVGEN_TEST_FIPS140_ONLY"

// A process in which Go refuses what FIPS 140 does not allow draws random CVVs. The
// constructors of key pairs name the reason why it derives none.
func TestPackage_UnderFIPS140OnlyDrawsAndRefusesToDerive(t *testing.T) {
	if os.Getenv(fipsEnv) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^(TestPackage_Under|TestRandom)", "-test.v", "-rapid.nofailfile")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", fipsEnv+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) || strings.Count(string(out), "--- PASS: TestRandom") < 3 {
			t.Errorf("under fips140=only: %v\n%s", err, out)
		}
		return
	}
	if !fips140.Enforced() {
		t.Error("FIPS 140 is not enforced in the child process")
	}
	for name, construct := range map[string]func([]byte) (CVK, error){"NewCVK": NewCVK, "NewInsecureTestCVK": NewInsecureTestCVK} {
		if _, err := construct(unhex(visaTestKey)); !errors.Is(err, ErrDESUnavailable) || !strings.Contains(err.Error(), "fips140=only") {
			t.Errorf("%s: %v, want ErrDESUnavailable", name, err)
		}
	}
}

func testCard() Card {
	return Card{mustPAN("4123456789012349"), Expiry{year: 25, month: 11}}
}

func testLocal(t *testing.T, digits int) *Local {
	t.Helper()
	key := must.Get(NewCVK(unhex(visaTestKey)))(t)
	return must.Get(NewLocal(key, ExpiryOrderYYMM, digits))(t)
}
