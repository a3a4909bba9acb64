package archtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// fixture is a small repository and what the rules say about it.
type fixture struct {
	files map[string]string
	want  []string // "rule path[:line]" of each finding
}

// pkg makes a package of two files, of which one has the given body.
func pkg(dir, body string) map[string]string {
	clause := "package " + path.Base(dir) + "\n"
	return map[string]string{dir + "/doc.go": clause, dir + "/x.go": clause + body}
}

// root makes the root package of two files, of which one has the given body.
func root(body string) map[string]string {
	return map[string]string{"doc.go": "package weir\n", "x.go": "package weir\n" + body}
}

// imports is a body that imports packages.
func imports(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "import _x %q\n", name)
	}
	return b.String()
}

// with joins the files of several packages.
func with(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, files := range all {
		maps.Copy(out, files)
	}
	return out
}

// test is a test file beside x.go.
func test(dir, body string) map[string]string {
	return map[string]string{dir + "/x_test.go": "package " + path.Base(dir) + "\n" + body}
}

// api and apiTest make a package without rules of its own, whose path play leaves out.
func api(body string) map[string]string     { return pkg("internal/api", body) }
func apiTest(body string) map[string]string { return with(api(""), test("internal/api", body)) }

func play(t *testing.T, fixtures map[string]fixture) {
	t.Helper()
	for name, fx := range fixtures {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, text := range fx.files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}

			found, err := Check(fsys)
			if err != nil {
				t.Fatal(err)
			}

			var got []string
			for _, f := range found {
				place := f.Path
				if f.Line > 0 {
					place = fmt.Sprintf("%s:%d", f.Path, f.Line)
				}
				got = append(got, f.Rule+" "+strings.TrimPrefix(place, "internal/api/"))
			}
			if !slices.Equal(got, fx.want) {
				t.Errorf("found %v\nwant %q", found, fx.want)
			}
		})
	}
}

// importCase is a package and what it imports.
type importCase struct {
	rule, from string
	imports    []string
}

func (c importCase) files() map[string]string {
	if c.from == "." {
		return root(imports(c.imports...))
	}
	return pkg(c.from, imports(c.imports...))
}

func TestImportsThatAreAllowed(t *testing.T) {
	cases := []importCase{
		{"the root knows the standard library", ".", []string{"fmt", "time"}},
		{"pure imports root and downwards", "internal/fold", []string{"weir", "weir/internal/expr", "weir/internal/lane"}},
		{"loops import pure rooms", "internal/dispatch", []string{"weir", "weir/internal/fold"}},
		{"work imports steps", "internal/work", []string{"weir/internal/step/httpcall"}},
		{"state imports the fold", "internal/state", []string{"weir/internal/fold"}},
		{"engines import their store", "internal/journal/chapter", []string{"weir/internal/journal"}},
		{"the api imports doors", "internal/api", []string{"weir/internal/ingest", "weir/internal/auth"}},
		{"app imports all", "internal/app", []string{"weir/internal/state/sqlite", "weir/internal/work", "weir/internal/api"}},
		{"cli imports client, app and config", "internal/cli", []string{"weir/client", "weir/internal/app", "weir/internal/config"}},
		{"a module at home", "internal/expr", []string{"cel.dev/cel-go/cel"}},
		{"suites import testing", "internal/journal/journaltest", []string{"testing", "weir/internal/journal"}},
		{"end-to-end tests import anything", "e2e", []string{"weir/internal/app", "modernc.org/sqlite"}},
	}
	fixtures := map[string]fixture{
		"embedding is no registration":    {pkg("web", "import _ \"embed\"\n"), nil},
		"loops are tested on real stores": {with(pkg("internal/work", ""), test("internal/work", imports("weir/internal/state/sqlite"))), nil},
		"nested modules are not looked at": {
			with(pkg("tools", imports("weir/internal/app")), map[string]string{"tools/go.mod": "module t\n"}), nil,
		},
	}
	for _, c := range cases {
		fixtures[c.rule] = fixture{c.files(), nil}
	}
	play(t, fixtures)
}

func TestImportsThatAreNot(t *testing.T) {
	cases := []importCase{
		{"the root imports no module", ".", []string{"github.com/google/uuid"}},
		{"the root imports nothing of ours", ".", []string{"weir/internal/expr"}},
		{"pure does not import upwards", "internal/expr", []string{"weir/internal/fold"}},
		{"pure does not import stores", "internal/fold", []string{"weir/internal/state"}},
		{"pure does no I/O", "internal/trigger", []string{"os"}},
		{"pure draws no chance", "internal/fold", []string{"math/rand/v2"}},
		{"loops do not import the journal", "internal/dispatch", []string{"weir/internal/journal"}},
		{"loops do not import an engine", "internal/work", []string{"weir/internal/state/sqlite"}},
		{"loops do not import the api", "internal/schedule", []string{"weir/internal/api"}},
		{"loops do not import loops", "internal/work", []string{"weir/internal/dispatch"}},
		{"dispatch does not import steps", "internal/dispatch", []string{"weir/internal/step/emit"}},
		{"steps do not import each other", "internal/step/emit", []string{"weir/internal/step/httpcall"}},
		{"the journal does not import the fold", "internal/journal/chapter", []string{"weir/internal/fold"}},
		{"stores do not import their engines", "internal/journal", []string{"weir/internal/journal/chapter"}},
		{"stores do not import loops", "internal/state/sqlite", []string{"weir/internal/dispatch"}},
		{"stores do not import stores", "internal/state", []string{"weir/internal/journal"}},
		{"the api does not import stores", "internal/api", []string{"weir/internal/state"}},
		{"nobody imports app", "internal/ingest", []string{"weir/internal/app"}},
		{"app does not import commands", "internal/app", []string{"weir/internal/cli"}},
		{"cli does not import stores", "internal/cli", []string{"weir/internal/journal"}},
		{"the client imports the root only", "client", []string{"weir/internal/obs"}},
		{"an unknown room is not imported", "internal/app", []string{"weir/internal/nowhere"}},
		{"one room knows the engine", "internal/journal", []string{"modernc.org/sqlite"}},
		{"a module away from home", "internal/trigger", []string{"cel.dev/cel-go/cel"}},
		{"testing stays in tests", "internal/api", []string{"testing"}},
		{"work does not import the steps' suite", "internal/work", []string{"weir/internal/step/steptest"}},
		{"code does not import suites", "internal/journal/chapter", []string{"weir/internal/journal/journaltest"}},
	}
	fixtures := map[string]fixture{
		"nothing registers itself": {pkg("internal/api", "import _ \"expvar\"\n"), []string{"import x.go:2"}},
		"loops are not tested on app": {
			with(pkg("internal/work", ""), test("internal/work", imports("weir/internal/app"))),
			[]string{"import internal/work/x_test.go:2"},
		},
	}
	for _, c := range cases {
		place := strings.TrimPrefix(path.Join(c.from, "x.go:2"), "internal/api/")
		fixtures[c.rule] = fixture{c.files(), []string{"import " + place}}
	}
	play(t, fixtures)
}

func TestNameRules(t *testing.T) {
	play(t, map[string]fixture{
		"unknown package":           {pkg("internal/anything", ""), []string{"room internal/anything"}},
		"unknown and says nothing":  {pkg("internal/util", ""), []string{"room internal/util", "name internal/util"}},
		"hides the standard one":    {pkg("internal/step/http", ""), []string{"name internal/step/http"}},
		"not named as its folder":   {with(api(""), map[string]string{"internal/api/y.go": "package other\n"}), []string{"name y.go"}},
		"a test from outside":       {with(api(""), map[string]string{"internal/api/y_test.go": "package api_test\n"}), nil},
		"testdata is not looked at": {map[string]string{"internal/api/testdata/util/x.go": "not go"}, nil},
	})
}

func TestSizeRules(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	files := func(dir string, n, long int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[fmt.Sprintf("%s/f%02d.go", dir, i)] = "package " + path.Base(dir) + "\n" + lines(long-1)
		}
		return out
	}
	generated := map[string]string{"internal/api/y.go": "// Code generated by x. DO NOT EDIT.\npackage api\n" + lines(3000)}
	play(t, map[string]fixture{
		"a file at the limit":       {api(lines(599)), nil},
		"a file over the limit":     {api(lines(600)), []string{"file x.go"}},
		"a test at the limit":       {apiTest(lines(999)), nil},
		"a test over the limit":     {apiTest(lines(1000)), []string{"file x_test.go"}},
		"a generated file":          {with(api(""), generated), nil},
		"a package at the limit":    {files("internal/api", 5, 500), nil},
		"a package over the limit":  {files("internal/api", 5, 501), []string{"package internal/api"}},
		"a file of the root":        {root(lines(599)), nil},
		"too many files":            {files("internal/api", 13, 1), []string{"package internal/api"}},
		"a room of one file":        {files("internal/api", 1, 1), []string{"package internal/api"}},
		"one file, for a reason":    {files("internal/step/emit", 1, 1), nil},
		"a benchmark may be long":   {files("bench", 13, 400), nil},
		"even there files are read": {files("bench", 1, 601), []string{"file bench/f00.go"}},
	})

	var big strings.Builder
	big.WriteString(lines(500))
	play(t, map[string]fixture{"the root is smaller": {
		map[string]string{"a.go": "package weir" + big.String(), "b.go": "package weir" + big.String(), "c.go": "package weir" + big.String() + "\n"},
		[]string{"package ."},
	}})
}

func TestShapeRules(t *testing.T) {
	body := func(n int) string { return "func f() {" + strings.Repeat("\n", n-1) + "}\n" }
	method := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "M%d()\n", i)
		}
		return b.String()
	}
	ctx := "import \"context\"\n"
	play(t, map[string]fixture{
		"a function at the limit":       {api(body(80)), nil},
		"a function over the limit":     {api(body(81)), []string{"long x.go:2"}},
		"a long test":                   {apiTest(body(81)), []string{"long x_test.go:2"}},
		"long for a reason":             {api("// archtest:long the states stand together\n" + body(81)), nil},
		"long, with a sentence":         {api("// f does it.\n//\n//archtest:long a table of states\n" + body(81)), nil},
		"long without a reason":         {api("// archtest:long\n" + body(81)), []string{"exemption x.go:3"}},
		"a reason not above":            {api("// archtest:long a table of states\n\n" + body(81)), []string{"exemption x.go:2", "long x.go:4"}},
		"a reason for another rule":     {api("// archtest:bool a table of states\n" + body(81)), []string{"exemption x.go:2", "long x.go:3"}},
		"a reason without need":         {api("// archtest:long a table of states\n" + body(80)), []string{"exemption x.go:2"}},
		"a context and four":            {api(ctx + "func f(ctx context.Context, a, b, c, d int) {}\n"), nil},
		"a context and five":            {api(ctx + "func f(ctx context.Context, a, b int, c, d, e string) {}\n"), []string{"params x.go:3"}},
		"five without names":            {api("func f(int, int, int, int, int) {}\n"), []string{"params x.go:2"}},
		"a flag":                        {api("func F(on bool) {}\n"), []string{"bool x.go:2"}},
		"a flag of a method":            {api("type T int\nfunc (t T) F(a int, on bool) {}\n"), []string{"bool x.go:3"}},
		"a flag inside":                 {api("func f(on bool) {}\n"), nil},
		"a flag for a reason":           {api("// archtest:bool as the flag package wants it\nfunc F(on bool) {}\n"), nil},
		"seven methods":                 {api("type I interface {\n" + method(7) + "}\n"), nil},
		"eight methods":                 {api("type I interface {\n" + method(8) + "}\n"), []string{"wide x.go:2"}},
		"eight methods, by embedding":   {api("type I interface {\n" + method(7) + "}\ntype J interface {\nI\nN()\n}\n"), []string{"wide x.go:11"}},
		"eight methods, in parentheses": {api("type (\nI interface {\n" + method(8) + "}\n)\n"), []string{"wide x.go:3"}},
		"benchmarks are free":           {pkg("bench", body(81)), nil},
	})
}

func TestHabitRules(t *testing.T) {
	sleep := "import \"time\"\nfunc f() { time.Sleep(1) }\n"
	bubble := "import (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { synctest.Test(nil, nil); time.Sleep(1) }\n"
	renamed := "import clock \"time\"\nfunc f() { clock.Sleep(1) }\n"
	play(t, map[string]fixture{
		"code sleeps":                 {pkg("internal/work", sleep), []string{"sleep internal/work/x.go:3"}},
		"code sleeps by another name": {pkg("internal/work", renamed), []string{"sleep internal/work/x.go:3"}},
		"a test sleeps":               {with(pkg("internal/work", ""), test("internal/work", sleep)), []string{"sleep internal/work/x_test.go:3"}},
		"a test sleeps in a bubble":   {with(pkg("internal/work", ""), test("internal/work", bubble)), nil},
		"a suite sleeps in a bubble":  {pkg("internal/journal/journaltest", bubble), nil},
		"code in no bubble":           {pkg("internal/work", bubble), []string{"sleep internal/work/x.go:6"}},
		"end-to-end tests sleep":      {with(pkg("e2e", ""), test("e2e", sleep)), []string{"sleep e2e/x_test.go:3"}},
		"init":                        {pkg("internal/work", "func init() {}\n"), []string{"init internal/work/x.go:2"}},
		"init in a test":              {with(pkg("internal/work", ""), test("internal/work", "func init() {}\n")), []string{"init internal/work/x_test.go:2"}},
		"a method called init":        {pkg("internal/work", "type t int\nfunc (t) init() {}\n"), nil},
		"pure looks at the clock":     {pkg("internal/fold", "import \"time\"\nvar t = time.Now()\n"), []string{"clock internal/fold/x.go:3"}},
		"pure handles times":          {pkg("internal/fold", "import \"time\"\nvar t = time.Unix(0, 0)\n"), nil},
		"a loop looks at the clock":   {pkg("internal/work", "import \"time\"\nvar t = time.Now()\n"), nil},
	})
}

func TestDocumentRules(t *testing.T) {
	page := func(text string) map[string]string {
		return with(pkg("internal/fold", ""), map[string]string{"docs/architecture.md": text})
	}
	missing := []string{"document docs/architecture.md:1"}
	play(t, map[string]fixture{
		"a file":                    {page("`internal/fold/x.go`"), nil},
		"a package":                 {page("`internal/fold/` and `./internal/fold`"), nil},
		"a file that is not":        {page("see `internal/fold/y.go`"), missing},
		"a package that is not":     {page("see `internal/gone`"), missing},
		"a short name":              {page("`fold/x.go`"), nil},
		"a short name that is not":  {page("`fold/y.go`"), missing},
		"a room that is not":        {page("`gone/y.go`"), missing},
		"a file by its base":        {page("`x.go`"), nil},
		"a base that is not":        {page("`y.go`"), missing},
		"a name in a package":       {page("`internal/fold.Turn`"), nil},
		"a name in no package":      {page("`internal/gone.Turn`"), missing},
		"what is no path":           {page("`application/json`, `POST /v1/events`, `/v1/events`, `go run ./cmd/weir demo`, `a/*`"), nil},
		"other pages are free":      {map[string]string{"docs/other.md": "`internal/gone`"}, nil},
		"the readme is not":         {map[string]string{"README.md": "\n`docs/gone.md`"}, []string{"document README.md:2"}},
		"a page and what it points": {map[string]string{"README.md": "`docs/a.md`", "docs/a.md": ""}, nil},
	})
}

func TestDependencyRules(t *testing.T) {
	module := func(mod string) map[string]string {
		return map[string]string{"go.mod": "module weir\n" + mod, "docs/dependencies.md": "| a.b/c | v1.2.0 | for |\n"}
	}
	missing := []string{"dependency go.mod:3"}
	play(t, map[string]fixture{
		"a module on the page":      {module("require (\n\ta.b/c v1.2.0\n)\n"), nil},
		"in one line":               {module("\nrequire a.b/c v1.2.0\n"), nil},
		"another version":           {module("require (\n\ta.b/c v1.2.1\n)\n"), missing},
		"a module not on it":        {module("require (\n\ta.b/d v1.2.0\n)\n"), missing},
		"not on it, in one line":    {module("\nrequire a.b/d v1.2.0\n"), missing},
		"what a module itself uses": {module("require (\n\ta.b/d v1.2.0 // indirect\n)\n"), nil},
	})
}

func TestExceptionWithoutNeedIsFound(t *testing.T) {
	fsys := fstest.MapFS{
		"internal/work/x.go": {Data: []byte("package work\nimport \"time\"\nfunc f() { time.Sleep(1) }\n")},
		"internal/work/y.go": {Data: []byte("package work\n")},
	}
	r, err := Scan(fsys)
	if err != nil {
		t.Fatal(err)
	}

	needed := unused(r, map[string]string{"internal/work/x.go": "a reason"})
	found := unused(r, map[string]string{"internal/work/x.go": "", "internal/work/y.go": "a reason", "gone.go": "a reason"})

	if len(needed) != 0 || len(found) != 3 {
		t.Errorf("found %v and %v, want none and three", needed, found)
	}
}

func TestBrokenSourceIsAnError(t *testing.T) {
	_, err := Check(fstest.MapFS{"x.go": {Data: []byte("package weir\nfunc {")}})

	if err == nil || !strings.Contains(err.Error(), "x.go:2") {
		t.Errorf("error %v, want one with the place", err)
	}
}
