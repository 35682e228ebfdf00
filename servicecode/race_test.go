//go:build race

package servicecode_test

func init() { raceDetector = true }
