package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	named    = regexp.MustCompile("`(Test[A-Za-z0-9]+)` \\|\n")
	declared = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(t \*testing\.T\)`)
)

// names returns what a pattern finds in files.
func names(t *testing.T, pattern *regexp.Regexp, files ...string) []string {
	t.Helper()
	var out []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1])
		}
	}
	return out
}

func TestEachFeatureInTheTableHasItsTest(t *testing.T) {
	t.Parallel()
	const table = "../../docs/cloudevents.md"
	senders, err := filepath.Glob("../../internal/step/httpcall/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	features := names(t, declared, "binding_test.go", "json_test.go")
	tests := slices.Concat(features, names(t, declared, senders...))
	told := names(t, named, table)

	for _, name := range told {
		if !slices.Contains(tests, name) {
			t.Errorf("%s names %s, and there is no such test", table, name)
		}
	}
	for _, name := range features {
		if !slices.Contains(told, name) {
			t.Errorf("%s does not name %s", table, name)
		}
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(string(text), "\n| ") - 2*2 // without heads and rules
	if rows != len(told) {
		t.Errorf("%d rows, %d of them name a test", rows, len(told))
	}
}
