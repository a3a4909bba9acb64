package project

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/project/yaml"
	"weir/internal/trigger"
)

// The files in testdata say what project files mean. Their commands:
//
//	parse             the input is weir.yaml: its definitions, or what is wrong
//	file name=a.yaml  the input is one of several files for the next check
//	check             the same for these files
//	force             the input is in force from here on; none: nothing is; also: beside what is
//	diff              the input against what is in force: what an apply changes
//
// force and diff take from=PATH, and diff prune.
//
// Test with -rewrite to write what is found.
func TestProjectFilesMeanWhatTestdataSays(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/language", func(t *testing.T, path string) {
		var files []File
		var inForce []weir.Definition
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			input := File{Name: "weir.yaml", Text: []byte(d.Input)}
			d.MaybeScanArgs(t, "from", &input.From)
			switch d.Cmd {
			case "parse":
				return show(inForce, input)
			case "file":
				d.ScanArgs(t, "name", &input.Name)
				files = append(files, input)
				return ""
			case "check":
				defer func() { files = nil }()
				return show(inForce, files...)
			case "force":
				if !d.HasArg("also") {
					inForce = nil
				}
				inForce = append(inForce, parsed(t, input).Definitions()...)
				return ""
			case "diff":
				missing := Keep
				if d.HasArg("prune") {
					missing = Prune
				}
				return showDiff(parsed(t, input), inForce, missing)
			}
			d.Fatalf(t, "no such command")
			return ""
		})
	})
}

func parsed(t *testing.T, files ...File) *Set {
	t.Helper()
	set, err := Parse(files...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// showDiff returns what an apply changes, what it misses, or why it cannot be.
func showDiff(set *Set, inForce []weir.Definition, missing Missing) string {
	d := set.Diff(inForce, missing)
	if _, err := set.Validate(d); err != nil {
		return err.Error()
	}
	out := d.String()
	for _, m := range d.Missing {
		out += fmt.Sprintf("missing: %s %s\n", m.Kind, m.Name)
	}
	return out + fmt.Sprintf("unchanged: %d\n", d.Unchanged)
}

// show returns what files mean, or what is wrong in them.
func show(inForce []weir.Definition, files ...File) string {
	set, _ := Parse(files...)
	warnings, err := set.Validate(set.Diff(inForce, Keep))
	if problems, ok := err.(yaml.Problems); ok { //nolint:errorlint // Validate returns it unwrapped
		return problems.Show()
	}
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, d := range set.Definitions() {
		fmt.Fprintf(&b, "%s %s %s\n", d.Kind, d.Name, strings.ReplaceAll(string(d.Body), defaultRetry, ""))
	}
	if len(warnings) > 0 {
		b.WriteString("warnings:\n" + warnings.Show())
	}
	return b.String()
}

// defaultRetry is in every pipeline that does not say otherwise.
const defaultRetry = `,"retry":{"attempts":8,"backoff":"1s","factor":2,"max":"10m",` +
	`"on":["connect","timeout","5xx","408","425","429"]}`

func TestExampleParsesWithoutWarnings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../examples/github/weir.yaml")
	if err != nil {
		t.Fatal(err)
	}

	set, err := Parse(File{Name: "weir.yaml", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := set.Validate(set.Diff(nil, Keep))

	if err != nil || len(warnings) > 0 {
		t.Errorf("Validate: %v, warnings:\n%s", err, warnings.Show())
	}
	if len(set.Triggers) == 0 || len(set.Pipelines) == 0 || len(set.Sources) == 0 {
		t.Errorf("triggers %d, pipelines %d, sources %d", len(set.Triggers), len(set.Pipelines), len(set.Sources))
	}
}

func TestStoredDefinitionsDecodeToWhatWasParsed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../examples/github/weir.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse(File{Name: "weir.yaml", Text: text})
	if err != nil {
		t.Fatal(err)
	}

	got, err := Decode(set.Definitions()...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set.Parts, got); diff != "" {
		t.Errorf("Decode (-parsed +decoded):\n%s", diff)
	}
}

func TestDefinitionThatDoesNotDecodeIsInternal(t *testing.T) {
	t.Parallel()

	for _, d := range []weir.Definition{
		{Kind: weir.KindTrigger, Name: "x", Body: []byte("{")},
		{Kind: "other", Name: "x", Body: []byte("{}")},
	} {
		if _, err := Decode(d); weir.CodeOf(err) != weir.Internal {
			t.Errorf("Decode(%s): %v, want code internal", d.Kind, err)
		}
	}
}

func TestProblemsHaveTheCodeInvalidAndTheFirstField(t *testing.T) {
	t.Parallel()

	_, err := Parse(File{Name: "x.yaml", Text: []byte("triggers: {a: {mach: {type: b}}}")})

	if got := weir.CodeOf(err); got != weir.Invalid {
		t.Errorf("code %q of %v", got, err)
	}
	want := `x.yaml:1:16: a trigger has no key "mach" (did you mean "match"?)`
	if got := err.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestBytesThatNoEditorShows has what a text file of test cases cannot hold.
func TestBytesThatNoEditorShows(t *testing.T) {
	t.Parallel()
	const fine = "pipelines: {a: {steps: [{log: {message: b}}]}}\n"

	for _, c := range []struct{ name, text, want string }{
		{"byte order mark", "\ufeff" + fine, ""},
		{"carriage returns", strings.ReplaceAll("pipelines:\n  a:\n    steps:\n      - log: {message: b}\n", "\n", "\r\n"), ""},
		{"wrong line with carriage returns", "a: 1\r\nb: 2\r\n", `x.yaml:1:1: a project file has no key "a"`},
		{"no UTF-8", "# ü\n# ü\xff\n" + fine, "x.yaml:2:4: not UTF-8: byte 0xff"},
		{"U+FFFD itself", "# \ufffd\n" + fine, ""},
		{"UTF-16", "\xff\xfea\x00", "x.yaml:1:1: not UTF-8: byte 0xff"},
		{"NUL", "a\x00b: c\n", "x.yaml:1:1: "},
		{"too large", "#" + strings.Repeat(" ", MaxFileSize), "x.yaml: 1048577 bytes, and 1048576 are the most of a file"},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			_, err := Parse(File{Name: "x.yaml", Text: []byte(c.text)})

			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestHostileFilesAreRefusedAndCheap has what would cost a parser without bounds
// its stack, its memory or its time.
func TestHostileFilesAreRefusedAndCheap(t *testing.T) {
	t.Parallel()
	bomb := "pipelines:\n  a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		bomb += fmt.Sprintf("  b%d: &a%d [%s]\n", i, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	var definitions strings.Builder
	for i := range MaxDefinitions + 5 {
		fmt.Fprintf(&definitions, "http://h%d: {}, ", i)
	}

	for _, c := range []struct{ name, text, want string }{
		{"brackets", strings.Repeat("[", 500_000), "nested more than 50 deep"},
		{"braces", strings.Repeat("{a: ", 200_000), "nested more than 50 deep"},
		{"dashes", strings.Repeat("- ", 400_000), "nested more than 50 deep"},
		{"question marks", strings.Repeat("? ", 400_000), "a key may not begin with ?"},
		{"anchors", "a: " + strings.Repeat("&a ", 200_000) + "b", "is a YAML anchor"},
		{"tags", "a: " + strings.Repeat("!a ", 200_000) + "b", "is a YAML tag"},
		{"aliases of aliases", bomb, "more than 200000 values"},
		{"aliases of a long text", "a: &a " + strings.Repeat("x", 1000) + "\nb: [" + strings.Repeat("*a ,", 10_000) + "]", "or 4194304 bytes in them"},
		{"long keys", strings.Repeat("x", 500_000) + ": {\"" + strings.Repeat("y", 200_000) + "\": [" + strings.Repeat("a,", 90_000) + "]}", "too many values below long keys"},
		{
			"long keys in blocks", strings.Repeat("x", 100_000) + ":\n  " + strings.Repeat("y", 100_000) + ":\n" + strings.Repeat("    - a\n", 100_000),
			"too many values below long keys",
		},
		{"definitions", "destinations: {" + definitions.String() + "}", "more than 50000 definitions"},
		{"one mapping of many keys", strings.Repeat("a:\n", MaxFileSize/3), "too many keys"},
		{"many mappings", strings.Repeat(" -\n"+strings.Repeat("  a:\n", 5_000), 30), "too many keys"},
		{"problems", "triggers: {a: {" + strings.Repeat("x: 1, ", 10_000) + "}}", "and more"},
		{"an anchor in itself", "a: &a [*a]\n", "the alias is not defined before its use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			_, err := Parse(File{Name: "x.yaml", Text: []byte(c.text)})

			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200v, want %q", err, c.want)
			}
			if problems := err.(yaml.Problems); len(problems) > yaml.MaxProblems+1 { //nolint:errorlint // Parse returns it unwrapped
				t.Errorf("%d problems", len(problems))
			}
		})
	}
}

func TestExpressionsAreCounted(t *testing.T) {
	t.Parallel()
	const text = "triggers: {a: {match: {where: data.x}}, b: {match: {where: data.x}}}"
	r := &reader{Reader: &yaml.Reader{Name: "x", Text: text}, set: &Set{places: map[name]place{}}}
	r.set.expressions = maxExpressions - 1

	r.file()

	if want := "x:1:60: more than 50000 expressions"; r.Problems.Error() != want {
		t.Errorf("got %v, want %s", r.Problems, want)
	}
}

// FuzzParse shows that no text makes Parse panic, and that what it accepts can
// be stored, decoded, compared and run.
func FuzzParse(f *testing.F) {
	f.Add("triggers: {a: {match: {type: [b.*, '!b.c'], where: data.x > 1}, group_by: {k: data.k}, fire: [{count: 2}], expire: last + 1h, run: p}}")
	f.Add("pipelines:\n  p:\n    steps:\n      - emit: {type: x, data: {a: [1.50, 0x1f, .5, ~, true, \"${data.x}\"]}}\n    retry: none\n")
	f.Add("sources: {g: {webhook: {verify: github, secret: \"${secret.g}\", type: push}}}\ndestinations: {\"http://a\": {limit: 1}}")
	f.Add("a: &a [*a]\n<<: *a\n? x\n: !y z\n%TAG\n---\n...\n\tb: |-\n  c\n")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := Parse(File{Name: "x.yaml", Text: []byte(text)})
		if set == nil {
			t.Fatal("no set")
		}
		if problems, ok := err.(yaml.Problems); ok { //nolint:errorlint // Parse returns it unwrapped
			if len(problems) == 0 || len(problems) > yaml.MaxProblems+1 {
				t.Errorf("%d problems", len(problems))
			}
			_ = problems.Show()
			return
		}
		definitions := set.Definitions()
		if d := set.Diff(definitions, Keep); len(d.Changes) > 0 {
			t.Errorf("what is in force differs from itself:\n%s", d)
		}
		decoded, err := Decode(definitions...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(definitions, decoded.Definitions()); diff != "" {
			t.Errorf("decoded and stored again (-first +second):\n%s", diff)
		}
		for i := range set.Triggers {
			if _, err := trigger.Compile(&set.Triggers[i], 1); err != nil {
				t.Errorf("an accepted trigger does not compile: %v", err)
			}
		}
		_, _ = set.Validate(set.Diff(nil, Keep))
	})
}
