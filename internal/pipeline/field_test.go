package pipeline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func TestAPathIsNamesWithDotsBetweenThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"region": {"region"}, "meta.region": {"meta", "region"}, "x-y.é.0": {"x-y", "é", "0"},
	} {
		got, err := FieldPath(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(text, diff, err)
		}
	}
	for _, text := range []string{"", ".", "a.", ".a", "a..b", "a[0]", `a."b"`, "a b", strings.Repeat("a.", 128) + "a"} {
		if got, err := FieldPath(text); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}
