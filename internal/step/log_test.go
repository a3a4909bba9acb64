package step

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestLogKeepsHeadAndTailAndSaysWhatItCut(t *testing.T) {
	t.Parallel()
	var l Log
	for i := range 10_000 {
		l.Write(time.Unix(1, 0), "info", fmt.Sprintf("line %d", i))
	}

	got := l.String()

	if len(got) > MaxLog || len(got) < MaxLog-100 {
		t.Errorf("%d bytes", len(got))
	}
	if !strings.HasPrefix(got, "1970-01-01T00:00:01.000000Z info line 0\n") || !strings.HasSuffix(got, "info line 9999\n") {
		t.Errorf("%q … %q", got[:60], got[len(got)-60:])
	}
	if !strings.Contains(got, " bytes cut …\n") {
		t.Error("the cut is not said")
	}
}

func TestLogIsBoundedWholeCharactersAndCountsWhatItCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l Log
		all := 0
		for range rapid.IntRange(0, 30).Draw(t, "lines") {
			text := strings.Repeat(rapid.SampledFrom([]string{"a", "ä", "€", "😀"}).Draw(t, "char"), rapid.IntRange(0, 20_000).Draw(t, "n"))
			l.Write(time.Unix(1, 0), "info", text)
			all += len("1970-01-01T00:00:01.000000Z info \n") + len(text)
		}

		got := l.String()

		if len(got) > MaxLog || !utf8.ValidString(got) {
			t.Fatalf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		kept := len(got)
		if l.cut > 0 {
			kept -= len(fmt.Sprintf("\n… %d bytes cut …\n", l.cut))
		}
		if kept+l.cut != all {
			t.Fatalf("kept %d, cut %d, of %d", kept, l.cut, all)
		}
	})
}

func TestLogLinesCannotBeForgedAndAreMasked(t *testing.T) {
	t.Parallel()
	l := Log{Mask: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }}

	l.Write(time.Unix(1, 0), "warn", "a hunter2\n1970-01-01T00:00:01.000000Z error forged\n")
	l.Excerpt(time.Unix(1, 0), "info", "x hunter2 y", 4)

	want := "1970-01-01T00:00:01.000000Z warn a ***\n  1970-01-01T00:00:01.000000Z error forged\n" +
		"1970-01-01T00:00:01.000000Z info x **…\n"
	if got := l.String(); got != want {
		t.Errorf("got %q", got)
	}
}
