package state

import (
	"testing"
	"testing/fstest"

	"weir"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	all, err := ReadMigrations(fstest.MapFS{"0002_b.sql": file("b"), "0001_a.sql": file("a")})
	if err != nil || len(all) != 2 || all[0].Name != "0001_a.sql" || all[1].Text != "b" {
		t.Errorf("%v, %v", all, err)
	}

	for _, bad := range []fstest.MapFS{
		{"0002_b.sql": file("b")},
		{"0001_a.sql": file("a"), "0001_b.sql": file("b")},
		{"0001_a.sql": file("a"), "0003_c.sql": file("c")},
		{"0001_a.sql": file("a"), "notes.txt": file("")},
		{"1_a.sql": file("a")},
	} {
		if _, err := ReadMigrations(bad); weir.CodeOf(err) != weir.Internal {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestOnlyWhatIsMissingIsPending(t *testing.T) {
	t.Parallel()
	all := []Migration{{Number: 1, Name: "0001_a.sql", Sum: "a"}, {Number: 2, Name: "0002_b.sql", Sum: "b"}}
	first, second := Applied{Number: 1, Name: "0001_a.sql", Sum: "a"}, Applied{Number: 2, Name: "0002_b.sql", Sum: "b"}
	third, changed := Applied{Number: 3, Name: "0003_c.sql", Sum: "c", Version: "v2"}, Applied{Number: 1, Name: "0001_a.sql", Sum: "x"}

	for _, c := range []struct {
		applied []Applied
		want    int
		code    weir.Code
	}{
		{nil, 2, ""},
		{[]Applied{first}, 1, ""},
		{[]Applied{first, second}, 0, ""},
		{[]Applied{first, second, third}, 0, weir.Conflict},
		{[]Applied{changed}, 0, weir.Conflict},
		{[]Applied{second}, 0, weir.Conflict},
	} {
		pending, err := Pending(all, c.applied)
		if len(pending) != c.want || weir.CodeOf(err) != c.code {
			t.Errorf("%v: %v, %v", c.applied, pending, err)
		}
	}
}
