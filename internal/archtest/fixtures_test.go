package archtest

import (
	"fmt"
	"maps"
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
func pkg(path, body string) map[string]string {
	name := path[strings.LastIndex(path, "/")+1:]
	return map[string]string{
		path + "/doc.go": "package " + name + "\n",
		path + "/x.go":   "package " + name + "\n" + body,
	}
}

// root makes the root package of two files, of which one has the given body.
func root(body string) map[string]string {
	return map[string]string{"doc.go": "package weir\n", "x.go": "package weir\n" + body}
}

// imports is a body that imports packages.
func imports(paths ...string) string {
	var b strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&b, "import _x %q\n", p)
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
func test(path, body string) map[string]string {
	name := path[strings.LastIndex(path, "/")+1:]
	return map[string]string{path + "/x_test.go": "package " + name + "\n" + body}
}

func play(t *testing.T, fixtures map[string]fixture) {
	t.Helper()
	for name, fx := range fixtures {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for path, text := range fx.files {
				fsys[path] = &fstest.MapFile{Data: []byte(text)}
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
				got = append(got, f.Rule+" "+place)
			}
			if !slices.Equal(got, fx.want) {
				t.Errorf("found %v\nwant %q", found, fx.want)
			}
		})
	}
}

func TestImportRules(t *testing.T) {
	const x = "x.go:2"
	sqliteTest := "import _ \"weir/internal/state/sqlite\"\n"
	play(t, map[string]fixture{
		"the root knows the standard library":    {root(imports("fmt", "time")), nil},
		"the root imports no module":             {root(imports("github.com/google/uuid")), []string{"import " + x}},
		"the root imports nothing of ours":       {root(imports("weir/internal/expr")), []string{"import " + x}},
		"pure imports root and downwards":        {pkg("internal/fold", imports("weir", "weir/internal/expr", "weir/internal/lane")), nil},
		"pure does not import upwards":           {pkg("internal/expr", imports("weir/internal/fold")), []string{"import internal/expr/" + x}},
		"pure does not import stores":            {pkg("internal/fold", imports("weir/internal/state")), []string{"import internal/fold/" + x}},
		"pure does no I/O":                       {pkg("internal/trigger", imports("os")), []string{"import internal/trigger/" + x}},
		"pure draws no chance":                   {pkg("internal/fold", imports("math/rand/v2")), []string{"import internal/fold/" + x}},
		"loops import pure rooms":                {pkg("internal/dispatch", imports("weir", "weir/internal/fold")), nil},
		"loops do not import the journal":        {pkg("internal/dispatch", imports("weir/internal/journal")), []string{"import internal/dispatch/" + x}},
		"loops do not import an engine":          {pkg("internal/work", imports("weir/internal/state/sqlite")), []string{"import internal/work/" + x}},
		"loops do not import the api":            {pkg("internal/schedule", imports("weir/internal/api")), []string{"import internal/schedule/" + x}},
		"loops do not import loops":              {pkg("internal/work", imports("weir/internal/dispatch")), []string{"import internal/work/" + x}},
		"work imports steps":                     {pkg("internal/work", imports("weir/internal/step/httpcall")), nil},
		"dispatch does not import steps":         {pkg("internal/dispatch", imports("weir/internal/step/emit")), []string{"import internal/dispatch/" + x}},
		"steps do not import each other":         {pkg("internal/step/emit", imports("weir/internal/step/httpcall")), []string{"import internal/step/emit/" + x}},
		"state imports the fold":                 {pkg("internal/state", imports("weir/internal/fold")), nil},
		"the journal does not import the fold":   {pkg("internal/journal/chapter", imports("weir/internal/fold")), []string{"import internal/journal/chapter/" + x}},
		"engines import their store":             {pkg("internal/journal/chapter", imports("weir/internal/journal")), nil},
		"stores do not import their engines":     {pkg("internal/journal", imports("weir/internal/journal/chapter")), []string{"import internal/journal/" + x}},
		"stores do not import loops":             {pkg("internal/state/sqlite", imports("weir/internal/dispatch")), []string{"import internal/state/sqlite/" + x}},
		"stores do not import stores":            {pkg("internal/state", imports("weir/internal/journal")), []string{"import internal/state/" + x}},
		"the api imports doors":                  {pkg("internal/api", imports("weir/internal/ingest", "weir/internal/auth")), nil},
		"the api does not import stores":         {pkg("internal/api", imports("weir/internal/state")), []string{"import internal/api/" + x}},
		"nobody imports app":                     {pkg("internal/ingest", imports("weir/internal/app")), []string{"import internal/ingest/" + x}},
		"app imports all":                        {pkg("internal/app", imports("weir/internal/state/sqlite", "weir/internal/work", "weir/internal/api")), nil},
		"app does not import commands":           {pkg("internal/app", imports("weir/internal/cli")), []string{"import internal/app/" + x}},
		"cli imports client, app and config":     {pkg("internal/cli", imports("weir/client", "weir/internal/app", "weir/internal/config")), nil},
		"cli does not import stores":             {pkg("internal/cli", imports("weir/internal/journal")), []string{"import internal/cli/" + x}},
		"the client imports the root only":       {pkg("client", imports("weir", "weir/internal/obs")), []string{"import client/x.go:3"}},
		"an unknown room is not imported":        {pkg("internal/app", imports("weir/internal/nowhere")), []string{"import internal/app/" + x}},
		"one room knows the engine":              {pkg("internal/journal", imports("modernc.org/sqlite")), []string{"import internal/journal/" + x}},
		"a module at home":                       {pkg("internal/expr", imports("cel.dev/cel-go/cel")), nil},
		"a module away from home":                {pkg("internal/trigger", imports("cel.dev/cel-go/cel")), []string{"import internal/trigger/" + x}},
		"nothing registers itself":               {pkg("internal/api", "import _ \"expvar\"\n"), []string{"import internal/api/" + x}},
		"embedding is no registration":           {pkg("web", "import _ \"embed\"\n"), nil},
		"testing stays in tests":                 {pkg("internal/api", imports("testing")), []string{"import internal/api/" + x}},
		"suites import testing":                  {pkg("internal/journal/journaltest", imports("testing", "weir/internal/journal")), nil},
		"code does not import suites":            {pkg("internal/journal/chapter", imports("weir/internal/journal/journaltest")), []string{"import internal/journal/chapter/" + x}},
		"loops are tested on real stores":        {with(pkg("internal/work", ""), test("internal/work", sqliteTest)), nil},
		"loops are not tested on app":            {with(pkg("internal/work", ""), test("internal/work", imports("weir/internal/app"))), []string{"import internal/work/x_test.go:2"}},
		"end-to-end tests import anything":       {pkg("e2e", imports("weir/internal/app", "modernc.org/sqlite")), nil},
		"nested modules are not of this project": {with(pkg("tools", imports("weir/internal/app")), map[string]string{"tools/go.mod": "module t\n"}), nil},
	})
}

func TestNameRules(t *testing.T) {
	play(t, map[string]fixture{
		"unknown package":           {pkg("internal/anything", ""), []string{"room internal/anything"}},
		"unknown and says nothing":  {pkg("internal/util", ""), []string{"room internal/util", "name internal/util"}},
		"hides the standard one":    {pkg("internal/step/http", ""), []string{"name internal/step/http"}},
		"not named as its folder":   {with(pkg("internal/api", ""), map[string]string{"internal/api/y.go": "package other\n"}), []string{"name internal/api/y.go"}},
		"a test from outside":       {with(pkg("internal/api", ""), map[string]string{"internal/api/y_test.go": "package api_test\n"}), nil},
		"testdata is not looked at": {map[string]string{"internal/api/testdata/util/x.go": "not go"}, nil},
	})
}

func TestSizeRules(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	files := func(path string, n, long int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[fmt.Sprintf("%s/f%02d.go", path, i)] = "package " + path[strings.LastIndex(path, "/")+1:] + "\n" + lines(long-1)
		}
		return out
	}
	generated := map[string]string{"internal/api/y.go": "// Code generated by x. DO NOT EDIT.\npackage api\n" + lines(3000)}
	play(t, map[string]fixture{
		"a file at the limit":       {pkg("internal/api", lines(599)), nil},
		"a file over the limit":     {pkg("internal/api", lines(600)), []string{"file internal/api/x.go"}},
		"a test at the limit":       {with(pkg("internal/api", ""), test("internal/api", lines(999))), nil},
		"a test over the limit":     {with(pkg("internal/api", ""), test("internal/api", lines(1000))), []string{"file internal/api/x_test.go"}},
		"a generated file":          {with(pkg("internal/api", ""), generated), nil},
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
		"a function at the limit":       {pkg("internal/api", body(80)), nil},
		"a function over the limit":     {pkg("internal/api", body(81)), []string{"long internal/api/x.go:2"}},
		"a long test":                   {with(pkg("internal/api", ""), test("internal/api", body(81))), []string{"long internal/api/x_test.go:2"}},
		"long for a reason":             {pkg("internal/api", "// archtest:long the states stand together\n"+body(81)), nil},
		"long, with a sentence":         {pkg("internal/api", "// f does it.\n//\n//archtest:long a table of states\n"+body(81)), nil},
		"long without a reason":         {pkg("internal/api", "// archtest:long\n"+body(81)), []string{"exemption internal/api/x.go:3"}},
		"a reason not above":            {pkg("internal/api", "// archtest:long a table of states\n\n"+body(81)), []string{"exemption internal/api/x.go:2", "long internal/api/x.go:4"}},
		"a reason for another rule":     {pkg("internal/api", "// archtest:bool a table of states\n"+body(81)), []string{"exemption internal/api/x.go:2", "long internal/api/x.go:3"}},
		"a reason without need":         {pkg("internal/api", "// archtest:long a table of states\n"+body(80)), []string{"exemption internal/api/x.go:2"}},
		"a context and four":            {pkg("internal/api", ctx+"func f(ctx context.Context, a, b, c, d int) {}\n"), nil},
		"a context and five":            {pkg("internal/api", ctx+"func f(ctx context.Context, a, b int, c, d, e string) {}\n"), []string{"params internal/api/x.go:3"}},
		"five without names":            {pkg("internal/api", "func f(int, int, int, int, int) {}\n"), []string{"params internal/api/x.go:2"}},
		"a flag":                        {pkg("internal/api", "func F(on bool) {}\n"), []string{"bool internal/api/x.go:2"}},
		"a flag of a method":            {pkg("internal/api", "type T int\nfunc (t T) F(a int, on bool) {}\n"), []string{"bool internal/api/x.go:3"}},
		"a flag inside":                 {pkg("internal/api", "func f(on bool) {}\n"), nil},
		"a flag for a reason":           {pkg("internal/api", "// archtest:bool as the flag package wants it\nfunc F(on bool) {}\n"), nil},
		"seven methods":                 {pkg("internal/api", "type I interface {\n"+method(7)+"}\n"), nil},
		"eight methods":                 {pkg("internal/api", "type I interface {\n"+method(8)+"}\n"), []string{"wide internal/api/x.go:2"}},
		"eight methods, by embedding":   {pkg("internal/api", "type I interface {\n"+method(7)+"}\ntype J interface {\nI\nN()\n}\n"), []string{"wide internal/api/x.go:11"}},
		"eight methods, in parentheses": {pkg("internal/api", "type (\nI interface {\n"+method(8)+"}\n)\n"), []string{"wide internal/api/x.go:3"}},
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
