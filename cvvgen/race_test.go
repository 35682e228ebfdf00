//go:build race

package cvvgen

func init() { raceDetector = true }
