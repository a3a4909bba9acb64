package expr

import (
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// Scope says which variables an expression sees.
type Scope uint8

// The scopes, by the fields of project files that they belong to.
const (
	ScopeEvent  Scope = iota // where, group_by: event, data
	ScopeKey                 // per: event, data, group
	ScopeBatch               // filter: event, data, group, run
	ScopeStep                // ${…} of steps: events, event, data, group, run, result, secret
	ScopeSource              // ${…} of sources: header, query, body, topic, secret
	scopes
)

// Names returns the variables of the scope.
func (s Scope) Names() []string {
	return strings.Fields([...]string{
		ScopeEvent:  "event data",
		ScopeKey:    "event data group",
		ScopeBatch:  "event data group run",
		ScopeStep:   "events event data group run result secret",
		ScopeSource: "header query body topic secret",
	}[s])
}

// typeOf returns what the checker knows of a variable. What comes from outside
// is dynamic.
func typeOf(name string) *cel.Type {
	switch name {
	case "event", "group", "run":
		return cel.MapType(cel.StringType, cel.DynType)
	case "events":
		return cel.ListType(cel.MapType(cel.StringType, cel.DynType))
	case "header", "query", "secret":
		return cel.MapType(cel.StringType, cel.StringType)
	case "topic":
		return cel.StringType
	}
	return cel.DynType
}

// envs holds one environment per scope. They are made at first use, because
// making one costs more than compiling most expressions, and never change.
var envs = sync.OnceValues(func() (out [scopes]*cel.Env, err error) {
	for s := range scopes {
		opts := []cel.EnvOption{
			cel.CustomTypeAdapter(adapter{}),
			cel.CrossTypeNumericComparisons(true),
			cel.ParserExpressionSizeLimit(maxSource),
			cel.ParserRecursionLimit(maxDepth),
			ext.Strings(ext.StringsVersion(4)),
		}
		for _, name := range s.Names() {
			opts = append(opts, cel.Variable(name, typeOf(name)))
		}
		if out[s], err = cel.NewEnv(opts...); err != nil {
			return out, err
		}
		// Its checker makes a catalog when it first meets an unknown name, and reads
		// it elsewhere without a lock: made here, it is never written again.
		_, _ = out[s].Compile("unknown")
	}
	return out, nil
})

// The size of an expression: bytes of source, and nesting.
const (
	maxSource = 8192
	maxDepth  = 100
)

func (s Scope) env() (*cel.Env, error) {
	all, err := envs()
	if err != nil {
		return nil, err
	}
	return all[s], nil
}

// elsewhere reports whether name is a variable of another scope.
func (s Scope) elsewhere(name string) bool {
	for other := range scopes {
		if other != s && slices.Contains(other.Names(), name) {
			return true
		}
	}
	return false
}
