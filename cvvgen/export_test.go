package cvvgen

// What the tests from outside share with those from inside.
var (
	Unhex   = unhex
	MustCVV = mustCVV
	MustPAN = mustPAN
	MustCVK = mustCVK
	Verbs   = verbs
)

// Get is get.
func Get[V any](v V, err error) V { return get(v, err) }
