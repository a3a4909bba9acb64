package archtest

import (
	"io/fs"
	"slices"
	"strings"
)

// Check reads the repository at the root of fsys and returns every place where a rule is broken, by path and line.
func Check(fsys fs.FS) ([]Finding, error) {
	r, err := Scan(fsys)
	if err != nil {
		return nil, err
	}
	out := slices.Concat(checkRooms(r), checkImports(r), checkSizes(r), checkShapes(r), checkHabits(r), unused(r, sleepers))
	docs, err := checkDocuments(r)
	if err != nil {
		return nil, err
	}
	modules, err := checkDependencies(r)
	if err != nil {
		return nil, err
	}
	out = slices.Concat(out, docs, modules)
	slices.SortFunc(out, func(a, b Finding) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return out, nil
}
