package pipeline

import (
	"strings"

	"weir"
)

// maxPath is how many names a path may have: as deep as the data of events.
const maxPath = 128

// FieldPath reads the path of a field in an event's data: names with dots
// between them, such as "region" or "meta.region". The error is Invalid.
func FieldPath(text string) ([]string, error) {
	names := strings.Split(text, ".")
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "[]\"' \t\r\n") {
			return nil, weir.E("", weir.Invalid, "%q is no path of a field: write names with dots between them, such as meta.region", text)
		}
	}
	if len(names) > maxPath {
		return nil, weir.E("", weir.Invalid, "a path of %d names, and %d are the most", len(names), maxPath)
	}
	return names, nil
}
