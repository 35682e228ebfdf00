package campaign

// Shorten shrinks a list: it offers ranges to remove, halves first, then always
// shorter ones, each from the end of the list, and repeats a length while it
// helps. remove reports whether it removed the range, because the failure is still
// there without it.
func Shorten(length func() int, remove func(from, to int) bool) {
	for size := length() / 2; size > 0; {
		removed := false
		for from := length() - size; from >= 0; from -= size {
			if from+size <= length() && remove(from, from+size) {
				removed = true
			}
		}
		if !removed || size > length() {
			size /= 2
		}
	}
}
