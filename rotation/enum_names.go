package rotation

import (
	"fmt"
	"slices"
)

// The enumerations of this package share their text forms: a list of names,
// an empty one where a value has none.

func enumString[T ~uint8](typeName string, names []string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", typeName, uint8(v))
}

func enumMarshal[T ~uint8](names []string, v T, unknown error) ([]byte, error) {
	if int(v) < len(names) && names[v] != "" {
		return []byte(names[v]), nil
	}
	return nil, fmt.Errorf("rotation: number %d: %w", uint8(v), unknown)
}

func enumUnmarshal[T ~uint8](names []string, v *T, text []byte, unknown error) error {
	i := slices.Index(names, string(text))
	if i < 0 || len(text) == 0 {
		return fmt.Errorf("rotation: %w", unknown)
	}
	*v = T(i)
	return nil
}
