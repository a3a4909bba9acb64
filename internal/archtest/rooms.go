package archtest

import "strings"

// layer is a kind of room. All rooms of a layer obey the same import rules.
type layer string

const (
	layerRoot   layer = "root"   // nouns, states, ids, error codes
	layerPure   layer = "pure"   // decides; no clock, no I/O
	layerSignal layer = "signal" // logs, metrics, traces
	layerLeaf   layer = "leaf"   // configuration, principals, sealed values
	layerStep   layer = "step"   // one room per kind of step
	layerLoop   layer = "loop"   // thin loops that do I/O through their own interfaces
	layerStore  layer = "store"  // journal and state and their engines
	layerDoor   layer = "door"   // takes events in, reads definitions, reads what happened
	layerEdge   layer = "edge"   // speaks HTTP, brokers and old formats
	layerClient layer = "client" // the Go client of the HTTP API
	layerApp    layer = "app"    // wires all of it
	layerCLI    layer = "cli"    // commands
	layerMain   layer = "main"   // func main
	layerSuite  layer = "suite"  // conformance suites and fakes that tests import
	layerAlone  layer = "alone"  // imports nothing of ours
	layerLoose  layer = "loose"  // benchmarks, end-to-end tests, examples: import anything
)

// room is one line of the table: a package, or with a trailing /* any package below it.
type room struct {
	path  string
	layer layer
	also  []string // rooms it may import beyond what its layer may
	never []string // rooms that its layer may import and it may not
	one   string   // why one file is enough
}

// rooms is the table of all packages. The first line that fits counts. A new
// package gets a line here, with its layer, before anything else.
var rooms = []room{
	{path: ".", layer: layerRoot},
	{path: "client", layer: layerClient},
	{path: "cmd/weir", layer: layerMain, also: []string{"internal/config", "internal/cli/copies"}, one: "func main alone"},
	{path: "web", layer: layerAlone, one: "only embeds"},
	{path: "docs", layer: layerAlone, one: "only embeds"},

	{path: "internal/timex", layer: layerPure},
	{path: "internal/expr", layer: layerPure},
	{path: "internal/distill", layer: layerPure},
	{path: "internal/jq", layer: layerPure},
	{path: "internal/schema", layer: layerPure},
	{path: "internal/trigger", layer: layerPure},
	{path: "internal/pipeline", layer: layerPure},
	{path: "internal/lane", layer: layerPure},
	{path: "internal/fold", layer: layerPure},

	{path: "internal/obs", layer: layerSignal},
	{path: "internal/config", layer: layerLeaf},
	{path: "internal/auth", layer: layerLeaf},
	{path: "internal/secret", layer: layerLeaf},

	{path: "internal/step/steptest", layer: layerSuite, also: []string{"internal/step"}},
	{path: "internal/step", layer: layerStep},
	{path: "internal/step/*", layer: layerStep, also: []string{"internal/step"}, one: "a kind of step may be small"},

	{path: "internal/dispatch", layer: layerLoop},
	{path: "internal/work", layer: layerLoop, also: []string{"internal/step", "internal/step/*"}},
	{path: "internal/schedule", layer: layerLoop},
	{path: "internal/leader", layer: layerLoop, one: "one loop"},
	{path: "internal/node", layer: layerLoop},
	{path: "internal/upkeep", layer: layerLoop},
	{path: "internal/backup", layer: layerLoop},

	{path: "internal/pg/pgtest", layer: layerSuite, also: []string{"internal/pg"}, one: "one instance"},
	{path: "internal/pg", layer: layerStore, also: []string{"internal/state"}},
	{path: "internal/journal/journaltest", layer: layerSuite, also: []string{"internal/journal"}},
	{path: "internal/journal", layer: layerStore, never: []string{"internal/fold", "internal/lane"}},
	{path: "internal/journal/disk", layer: layerStore, one: "a directory"},
	{path: "internal/journal/manifest", layer: layerStore, one: "one small file"},
	{path: "internal/journal/frame", layer: layerStore, also: []string{"internal/journal"}},
	{path: "internal/journal/table", layer: layerStore, also: []string{"internal/journal", "internal/journal/sealed"}},
	{
		path: "internal/journal/file", layer: layerStore,
		also: []string{
			"internal/journal", "internal/journal/disk", "internal/journal/frame", "internal/journal/sealed", "internal/journal/table",
		},
	},
	{
		path: "internal/journal/chapter", layer: layerStore, never: []string{"internal/fold", "internal/lane"},
		also: []string{
			"internal/journal", "internal/journal/disk", "internal/journal/file", "internal/journal/frame",
			"internal/journal/manifest", "internal/journal/sealed", "internal/journal/table",
		},
	},
	{
		path: "internal/journal/*", layer: layerStore,
		also: []string{"internal/journal", "internal/pg"}, never: []string{"internal/fold", "internal/lane"},
	},
	{path: "internal/blob", layer: layerStore},
	{path: "internal/blob/*", layer: layerStore, also: []string{"internal/blob", "internal/pg"}, one: "one engine"},
	{
		path: "internal/enginetest", layer: layerSuite, one: "opens engines",
		also: []string{"internal/pg", "internal/journal/chapter", "internal/journal/postgres", "internal/state/sqlite", "internal/state/postgres"},
	},
	{path: "internal/state/statetest", layer: layerSuite, also: []string{"internal/state"}},
	{path: "internal/state", layer: layerStore},
	{path: "internal/state/*", layer: layerStore, also: []string{"internal/state", "internal/pg"}},

	{path: "internal/project", layer: layerDoor, also: []string{"internal/project/*"}},
	{path: "internal/project/yaml", layer: layerDoor},
	{path: "internal/project/*", layer: layerDoor, also: []string{"internal/project/yaml"}},
	{path: "internal/ingest", layer: layerDoor},
	{path: "internal/track", layer: layerDoor, also: []string{"client", "internal/journal", "internal/state"}},
	{path: "internal/order", layer: layerDoor},
	{path: "internal/function", layer: layerDoor},
	{path: "internal/function/*", layer: layerDoor, also: []string{"internal/function"}},

	{path: "internal/api", layer: layerEdge, also: []string{"client"}},
	{path: "internal/source", layer: layerEdge},
	{path: "internal/source/*", layer: layerEdge, also: []string{"internal/source"}},
	{path: "internal/compat/*", layer: layerEdge},

	{path: "internal/app", layer: layerApp},
	{path: "internal/demo", layer: layerApp, also: []string{"internal/app", "examples/github"}},
	{path: "internal/cli", layer: layerCLI, also: []string{"internal/config", "internal/cli/*", "docs"}},
	{
		path: "internal/cli/files", layer: layerCLI,
		also: []string{"internal/cli/show", "internal/project/yaml", "internal/project/pack", "internal/project/export"},
	},
	{
		path: "internal/cli/copies", layer: layerCLI,
		also: []string{"internal/cli/show", "internal/config", "internal/backup"},
	},
	{path: "internal/cli/tenants", layer: layerCLI, also: []string{"internal/cli/show"}, one: "projects and erasures"},
	{path: "internal/cli/*", layer: layerCLI, also: []string{"internal/cli/show"}},
	{path: "internal/archtest", layer: layerAlone},

	{path: "bench", layer: layerLoose},
	{path: "bench/*", layer: layerLoose},
	{path: "e2e", layer: layerLoose},
	{path: "e2e/*", layer: layerLoose},
	{path: "examples/*", layer: layerLoose},
	{path: "tools/*", layer: layerLoose},
}

// may says which layers a layer may import, besides what a room's line adds.
// Pure rooms may also import the pure rooms that stand above them in rooms.
var may = map[layer][]layer{
	layerRoot:   {},
	layerAlone:  {},
	layerPure:   {layerRoot},
	layerSignal: {layerRoot},
	layerClient: {layerRoot},
	layerLeaf:   {layerRoot, layerSignal},
	layerStep:   {layerRoot, layerPure, layerSignal},
	layerLoop:   {layerRoot, layerPure, layerSignal},
	layerStore:  {layerRoot, layerPure, layerSignal},
	layerDoor:   {layerRoot, layerPure, layerSignal, layerLeaf},
	layerEdge:   {layerRoot, layerPure, layerSignal, layerLeaf, layerDoor},
	layerApp: {
		layerRoot, layerPure, layerSignal, layerLeaf, layerStep, layerLoop, layerStore, layerDoor, layerEdge,
		layerClient, layerAlone,
	},
	layerCLI:   {layerRoot, layerSignal, layerClient, layerApp},
	layerMain:  {layerRoot, layerCLI, layerApp},
	layerSuite: {layerRoot, layerPure, layerSuite},
}

// homes says which rooms alone may import a module, so that nothing else
// knows which engine, language or library stands behind a room. Tests and
// loose rooms are free.
var homes = map[string][]string{
	"modernc.org/sqlite":                  {"internal/state/sqlite"},
	"github.com/jackc/pgx/":               {"internal/pg", "internal/pg/pgtest", "internal/state/postgres", "internal/journal/postgres", "internal/blob/postgres"},
	"cel.dev/":                            {"internal/expr"},
	"github.com/danielgtaylor/huma/":      {"internal/api"},
	"github.com/spf13/cobra":              {"internal/cli", "internal/cli/copies", "internal/cli/tenants", "cmd/weir"},
	"github.com/goccy/go-yaml":            {"internal/project/yaml", "internal/config"},
	"github.com/itchyny/gojq":             {"internal/jq"},
	"github.com/santhosh-tekuri/":         {"internal/schema"},
	"github.com/prometheus/client_golang": {"internal/obs", "internal/app", "internal/api"},
}

// impure are the packages of the standard library that a pure room has no use for.
var impure = []string{
	"crypto/rand", "database/sql", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec",
	"os/signal", "syscall",
}

// refused are package names that say nothing, or that hide a package of the standard library.
var refused = []string{
	"util", "utils", "common", "helper", "helpers", "base", "manager", "models", "types", "core", "misc", "shared",
	"http", "errors", "context", "time", "json", "log", "sql", "net", "os", "io", "path", "sync", "strings",
}

// find returns the line of the table for a package, or nil.
func find(pkg string) *room {
	for i := range rooms {
		if fits(rooms[i].path, pkg) {
			return &rooms[i]
		}
	}
	return nil
}

// fits reports whether pkg is what a line of the table, or an entry of its lists, means.
func fits(pattern, pkg string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(pkg, parent+"/")
	}
	return pattern == pkg
}
