package show

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/client"
)

var numbers = List[int]{
	Head: "N STATE",
	Row:  func(n int) []string { return []string{strconv.Itoa(n), "dead"} },
	ID:   strconv.Itoa,
}

// pages answers lists of so many numbers, and notes what it was asked.
type pages struct {
	total int
	stop  int // the search ends before this number, if it is not 0
	asked []client.Paging
}

func (s *pages) read(p client.Paging) (page client.Page[int], err error) {
	s.asked = append(s.asked, p)
	from, _ := strconv.Atoi(p.After)
	to := min(from+p.Limit, s.total)
	if s.stop > from && s.stop < to {
		to = s.stop
		page.Looked = &client.Looked{Records: 20000, BackTo: weir.Minute}
	}
	for n := from; n < to; n++ {
		page.Items = append(page.Items, n)
	}
	if to < s.total {
		page.Next = strconv.Itoa(to)
	}
	return page, nil
}

func TestAListIsReadUntilThereIsEnough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pages pages
		ask   Asked
		form  Form
		want  []client.Paging
		ends  string // of output
		notes string
	}{
		"one page": {
			pages: pages{total: 3}, ask: Asked{Limit: 50},
			want: []client.Paging{{Limit: 50}}, ends: "2  dead\n",
		},
		"the limit": {
			pages: pages{total: 3}, ask: Asked{Limit: 2},
			want: []client.Paging{{Limit: 2}}, ends: "1  dead\nmore: --after 2\n",
		},
		"a limit of several pages": {
			pages: pages{total: 3000}, ask: Asked{Limit: 1500, After: "7"},
			want: []client.Paging{{Limit: 1000, After: "7"}, {Limit: 500, After: "1007"}}, ends: "1506  dead\nmore: --after 1507\n",
		},
		"all": {
			pages: pages{total: 1001, stop: 5}, ask: Asked{Limit: 50, All: true}, form: IDs,
			want: []client.Paging{{Limit: 1000}, {Limit: 1000, After: "5"}}, ends: "999\n1000\n",
		},
		"a search that looked far enough": {
			pages: pages{total: 50, stop: 1}, ask: Asked{Limit: 10}, form: IDs,
			want: []client.Paging{{Limit: 10}}, ends: "0\n",
			notes: "more: --after 1\nlooked at 20,000 records, back to 1970-01-01T00:01:00.000000Z\n",
		},
		"nothing": {ask: Asked{Limit: 10}, want: []client.Paging{{Limit: 10}}, ends: "nothing found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, notes strings.Builder
			p := &Printer{Out: &out, Notes: &notes, Form: c.form, Env: environment(nil)}

			err := Pages(p, numbers, c.ask, c.pages.read)

			if diff := cmp.Diff(c.want, c.pages.asked); diff != "" || err != nil {
				t.Error(diff, err)
			}
			if !strings.HasSuffix(out.String(), c.ends) || notes.String() != c.notes {
				t.Errorf("printed %q, noted %q", out.String()[max(0, out.Len()-60):], notes.String())
			}
		})
	}
}

func TestIDsAreForListsThatHaveThem(t *testing.T) {
	t.Parallel()
	p := &Printer{Form: IDs}
	without := List[int]{Head: "N", Row: numbers.Row}

	for name, err := range map[string]error{
		"a list": Pages(p, without, Asked{Limit: 1}, (&pages{}).read), "one thing": p.Value(1, nil),
	} {
		if weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnItemIsPrintedOnOneLineWhateverIsInIt(t *testing.T) {
	t.Parallel()
	texts := List[string]{Head: "TEXT STATE", Row: func(s string) []string { return []string{s, "dead"} }, ID: func(s string) string { return s }}
	for form, want := range map[Form]string{
		"": "a [2Jb  dead\n", JSON: "\"a\\u001b[2Jb\"\n", IDs: "a [2Jb\n",
	} {
		var out strings.Builder

		err := Item(&Printer{Out: &out, Form: form, Env: environment(nil)}, texts, "a\x1b[2Jb")

		if err != nil || out.String() != want {
			t.Errorf("%q: %v, %q", form, err, out.String())
		}
	}
}
