package cvvgen

// What the tests from outside share with those from inside.
var (
	Unhex   = unhex
	MustCVV = mustCVV
	MustPAN = mustPAN
	MustCVK = mustCVK
	Verbs   = verbs
)
