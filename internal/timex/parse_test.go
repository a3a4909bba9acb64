package timex_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/timex"
)

var in = timex.Inputs{First: 1_000_000_000_000, Last: 2_000_000_000_000, Opened: 3_000_000_000_000, Joined: 4_000_000_000_000}

func TestExpressionsAreTimesOfTheGroupMoved(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]weir.Time{
		"first":                     in.First,
		"last + 1h":                 in.Last.Add(time.Hour),
		"opened+60s":                in.Opened.Add(time.Minute),
		" joined - 1d ":             in.Joined.Add(-24 * time.Hour),
		"last + 2h30m - 250ms":      in.Last.Add(150*time.Minute - 250*time.Millisecond),
		"first + 2 hours 5 minutes": in.First.Add(125 * time.Minute),
		"first + 1 week + 1 day":    in.First.Add(8 * 24 * time.Hour),
		"opened\n+ 90 secs":         in.Opened.Add(90 * time.Second),
	} {
		e, err := timex.Parse(source)
		if err != nil {
			t.Errorf("%q: %v", source, err)
			continue
		}
		if at, never := e.At(in); at != want || never {
			t.Errorf("%q: %v %v, want %v", source, at, never, want)
		}
		if e.String() != source {
			t.Errorf("%q prints %q", source, e)
		}
	}
}

func TestNeverNeverComes(t *testing.T) {
	t.Parallel()

	e, err := timex.Parse("never")
	if err != nil {
		t.Fatal(err)
	}

	if _, never := e.At(in); !never {
		t.Error("never comes")
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	const start, duration = "expected first, last, opened, joined or never, and here is ", "expected a duration such as 1h, 90s or 2h30m, and here is "
	for source, want := range map[string]timex.SyntaxError{
		"":                   {Offset: 0, Message: start + "the end"},
		"lst + 1h":           {Offset: 0, Text: "lst", Message: start + `"lst"`},
		"1h":                 {Offset: 0, Text: "1", Message: start + `"1"`},
		"last 1h":            {Offset: 5, Text: "1", Message: `expected + or - and a duration, and here is "1"`},
		"last + ":            {Offset: 7, Message: duration + "the end"},
		"last + hour":        {Offset: 7, Text: "hour", Message: duration + `"hour"`},
		"last + 10":          {Offset: 9, Message: "expected a unit: ms, s, m, h, d or w, and here is the end"},
		"last + 1 fortnight": {Offset: 9, Text: "fortnight", Message: `expected a unit: ms, s, m, h, d or w, and here is "fortnight"`},
		"last + 1.5h":        {Offset: 8, Text: ".", Message: `expected a unit: ms, s, m, h, d or w, and here is "."`},
		"never + 1h":         {Offset: 6, Text: "+", Message: `nothing may follow never, and here is "+"`},
		"last + 40000d":      {Offset: 12, Text: "d", Message: "a duration is 100 years at most"},
		"last + 99999999999999999999h": {
			Offset: 7, Text: "99999999999999999999", Message: "99999999999999999999 is too large",
		},
		"last ++ 1h":  {Offset: 6, Text: "+", Message: duration + `"+"`},
		"last + 1h é": {Offset: 10, Text: "é", Message: `expected + or - and a duration, and here is "é"`},
	} {
		_, err := timex.Parse(source)
		got, ok := errors.AsType[*timex.SyntaxError](err)
		if !ok {
			t.Errorf("%q: %v", source, err)
			continue
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%q: %s", source, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("last + 2h30m - 1d")
	f.Fuzz(func(t *testing.T, source string) {
		e, err := timex.Parse(source)
		if err == nil {
			e.At(in)
		}
	})
}
