package export

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/project"
)

// same holds what is exported to what it was made from.
func same(t *testing.T, definitions []weir.Definition) {
	t.Helper()
	for _, form := range []struct {
		name  string
		write func([]weir.Definition) ([]byte, error)
	}{{"YAML", YAML}, {"JSON", JSON}} {
		text, err := form.write(definitions)
		if err != nil {
			t.Fatal(form.name, err)
		}
		set, err := project.Parse(project.File{Name: form.name, Text: text})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(definitions, set.Definitions()); diff != "" {
			t.Errorf("%s (-before +after):\n%s\n%s", form.name, diff, text)
		}
	}
	files, err := Directory(definitions)
	if err != nil {
		t.Fatal(err)
	}
	var in []project.File
	for name, text := range files {
		if strings.HasSuffix(name, ".yaml") {
			in = append(in, project.File{Name: name, Path: name, Text: text, Beside: files})
		}
	}
	set, err := project.Parse(in...)
	if err != nil {
		t.Fatalf("%v\n%s", err, files)
	}
	if diff := cmp.Diff(definitions, set.Definitions()); diff != "" {
		t.Errorf("Directory (-before +after):\n%s", diff)
	}
}

// inputs returns the inputs of the cases that say what project files mean.
func inputs(t testing.TB) (all []string) {
	t.Helper()
	files, err := filepath.Glob("../testdata/language/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.Split(string(b), "\n\n") {
			_, input, _ := strings.Cut(c, "\n")
			input, _, _ = strings.Cut(input, "\n----")
			all = append(all, input)
		}
	}
	return all
}

func TestWhatIsExportedMeansTheSame(t *testing.T) {
	t.Parallel()
	n := 0
	for _, input := range inputs(t) {
		if set, err := project.Parse(project.File{Name: "x.yaml", Text: []byte(input)}); err == nil && len(set.Definitions()) > 0 {
			same(t, set.Definitions())
			n++
		}
	}
	if n < 45 {
		t.Errorf("%d inputs are good: has their form changed?", n)
	}
}

func TestExamplesAreExportedAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	in, err := os.ReadFile("../../../examples/github/weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := project.Parse(project.File{Name: "weir.yaml", Text: in})
	if err != nil {
		t.Fatal(err)
	}

	got, err := YAML(set.Definitions())
	if err != nil {
		t.Fatal(err)
	}

	const golden = "testdata/github.yaml"
	want, _ := os.ReadFile(golden)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

func TestAnEventMayHaveTheNameOfStepsInATrigger(t *testing.T) {
	t.Parallel()
	set, err := project.Parse(project.File{Name: "x.yaml", Text: []byte(
		"{events: {order.run: {}}, triggers: {order: {match: {type: order.run}, run: [{log: {message: x}}]}}}",
	)})
	if err != nil {
		t.Fatal(err)
	}

	same(t, set.Definitions())
}

func TestASchemaWhoseNameIsNotFitForAFileStandsInItsEvent(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 120) + "b"
	var events []weir.Definition
	for _, name := range []string{".hidden", long, "a/b", "a_b"} {
		events = append(events, weir.Definition{Kind: weir.KindEventType, Name: name, Body: []byte(`{"schema":{"title":"` + name + `"}}`)})
	}

	files, err := Directory(events)
	if err != nil {
		t.Fatal(err)
	}

	want := []string{"events.yaml", "schemas/a_b.json"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	same(t, events)
}

func FuzzExport(f *testing.F) {
	for _, input := range inputs(f) {
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if set, err := project.Parse(project.File{Name: "x.yaml", Text: []byte(text)}); err == nil {
			same(t, set.Definitions())
		}
	})
}
