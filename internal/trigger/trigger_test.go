package trigger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/expr"
	"weir/internal/timex"
	"weir/internal/trigger"
)

func compile(t testing.TB, def weir.Trigger) *trigger.Compiled {
	t.Helper()
	c, err := trigger.Compile(&def, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func event(eventType, data string) *weir.Record {
	return &weir.Record{Seq: 1, At: 1_700_000_000_000_000, Project: 1, Event: &weir.Event{
		ID: "1", Source: "/test", Type: eventType, Data: []byte(data),
	}}
}

// offered says in words what a trigger makes of an event.
func offered(t testing.TB, def weir.Trigger, rec *weir.Record) string {
	t.Helper()
	var r trigger.Result
	trigger.NewSet(1, []*trigger.Compiled{compile(t, def)}).Match(rec, &r)
	return words(&r)
}

func words(r *trigger.Result) string {
	s := ""
	for _, m := range r.Matches {
		s += fmt.Sprintf("%s %s meets %v; ", m.Trigger.Def.Name, m.Key, m.Meets)
	}
	for _, m := range r.Misses {
		names := []string{m.Trigger.Def.Name}
		if all := m.Alike.Triggers(); all != nil {
			names = names[:0]
			for _, c := range all {
				names = append(names, c.Def.Name)
			}
		}
		s += fmt.Sprintf("%s: %s; ", strings.Join(names, ", "), m.Reason)
	}
	return s
}

func TestATriggerTakesWhatAnyCriterionMatches(t *testing.T) {
	t.Parallel()
	def := weir.Trigger{Name: "usage", Match: []weir.Criterion{
		{Types: []string{"compute.*", "!compute.exists"}},
		{Types: []string{"compute.exists"}, Where: "data.memory_mb > 512"},
	}}
	for _, c := range []struct{ eventType, data, want string }{
		{"compute.update", `{}`, "usage {} meets []; "},
		{"compute.exists", `{"memory_mb":1024}`, "usage {} meets []; "},
		{"compute.exists", `{"memory_mb":10}`, ""},
		{"compute.exists", `{}`, "usage: missing data.memory_mb; "},
		{"compute.exists", `{"memory_mb":"x"}`, "usage: error; "},
		{"image.update", `{}`, ""},
	} {
		if got := offered(t, def, event(c.eventType, c.data)); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.eventType, c.data, got, c.want)
		}
	}
}

func TestTheKeyKeepsOrderAndKinds(t *testing.T) {
	t.Parallel()
	def := weir.Trigger{
		Name: "t", Match: []weir.Criterion{{}}, Expire: "never",
		GroupBy: []weir.KeyPart{{Name: "user", Of: "data.user"}, {Name: "a", Of: "data.a"}},
	}
	for _, c := range []struct{ data, want string }{
		{`{"a":1,"user":"ann"}`, `t {"user":"ann","a":1} meets []; `},
		{`{"a":1.0,"user":"ann"}`, `t {"user":"ann","a":1.0} meets []; `},
		{`{"a":"1","user":null}`, `t {"user":null,"a":"1"} meets []; `},
		{`{"a":true,"user":"é\""}`, `t {"user":"é\"","a":true} meets []; `},
		{`{"a":1}`, "t: missing data.user; "},
		{`{"a":[1],"user":1}`, "t: error; "},
	} {
		if got := offered(t, def, event("x", c.data)); got != c.want {
			t.Errorf("%s: %q, want %q", c.data, got, c.want)
		}
	}
}

func TestKeysThatDifferHaveDifferentHashes(t *testing.T) {
	t.Parallel()
	def := weir.Trigger{
		Name: "t", Match: []weir.Criterion{{}}, Expire: "never", GroupBy: []weir.KeyPart{{Name: "a", Of: "data.a"}},
	}
	other := def
	other.Name = "u"
	reshaped := def
	reshaped.Fire = []weir.Criterion{}
	later := def
	later.Run, later.Expire = "p", "last + 1h"
	hash := func(project weir.ProjectID, def weir.Trigger, data string) weir.Identity {
		var r trigger.Result
		trigger.NewSet(project, []*trigger.Compiled{compile(t, def)}).Match(event("x", data), &r)
		return r.Matches[0].Hash
	}

	base := hash(1, def, `{"a":1}`)

	if base != hash(1, later, `{"a":1,"b":2}`) {
		t.Error("another pipeline or expiry changes the group")
	}
	for name, h := range map[string]weir.Identity{
		"project": hash(2, def, `{"a":1}`), "trigger": hash(1, other, `{"a":1}`), "shape": hash(1, reshaped, `{"a":1}`),
		"double": hash(1, def, `{"a":1.0}`), "text": hash(1, def, `{"a":"1"}`),
	} {
		if h == base {
			t.Errorf("another %s has the same hash", name)
		}
	}
}

func TestOneEventMayCountForSeveralCriteriaOfFire(t *testing.T) {
	t.Parallel()
	def := weir.Trigger{
		Name: "t", Match: []weir.Criterion{{Types: []string{"a", "b"}}}, Expire: "never",
		Fire: []weir.Criterion{
			{Types: []string{"a"}}, {Count: 1000}, {Types: []string{"b"}}, {Types: []string{"a"}, Where: "data.n > 1"}, {Types: []string{}},
		},
	}
	for _, c := range []struct{ eventType, data, want string }{
		{"a", `{"n":2}`, "t {} meets [0 1 3]; "},
		{"b", `{}`, "t {} meets [1 2]; "},
		{"a", `{}`, "t {} meets [0 1]; t: missing data.n; "},
	} {
		if got := offered(t, def, event(c.eventType, c.data)); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.eventType, c.data, got, c.want)
		}
	}
}

func TestACriterionInMatchAndFireFailsOnce(t *testing.T) {
	t.Parallel()
	criteria := []weir.Criterion{{Where: "data.n > 1"}, {Types: []string{"a"}}}
	def := weir.Trigger{Name: "t", Match: criteria, Fire: criteria, Expire: "never"}

	got := offered(t, def, event("a", "{}"))

	if want := "t {} meets [1]; t: missing data.n; "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMatchesComeByNameAndEventsAddUp(t *testing.T) {
	t.Parallel()
	var all []*trigger.Compiled
	for _, name := range []string{"c", "a", "b"} {
		all = append(all, compile(t, weir.Trigger{Name: name, Match: []weir.Criterion{
			{Types: []string{"x"}}, {Types: []string{"x*"}}, {},
		}}))
	}
	set := trigger.NewSet(1, all)
	var r trigger.Result

	set.Match(event("x", "{}"), &r)
	set.Match(event("y", "{}"), &r)

	want := "a {} meets []; b {} meets []; c {} meets []; "
	if got := words(&r); got != want+want {
		t.Errorf("got %q", got)
	}
	if r.Reset(); words(&r) != "" {
		t.Error("reset keeps matches")
	}
}

func TestMistakesNameTheirField(t *testing.T) {
	t.Parallel()
	match := []weir.Criterion{{}}
	for want, def := range map[string]weir.Trigger{
		"triggers.t.match":          {},
		"triggers.t.match[1].where": {Match: []weir.Criterion{{}, {Where: "dat.x"}}},
		"triggers.t.match[0].type":  {Match: []weir.Criterion{{Types: []string{"a["}}}},
		"triggers.t.fire[0].where":  {Match: match, Fire: []weir.Criterion{{Where: `"x"`}}, Expire: "never"},
		"triggers.t.fire[0].count":  {Match: match, Fire: []weir.Criterion{{Count: -1}}, Expire: "never"},
		"triggers.t.group_by.a":     {Match: match, GroupBy: []weir.KeyPart{{Name: "a", Of: "data."}}, Expire: "never"},
		"triggers.t.expire":         {Match: match, Fire: []weir.Criterion{}},
		"triggers.t.expire ":        {Match: match, Expire: "soon"},
	} {
		def.Name = "t"
		_, err := trigger.Compile(&def, 1)
		e, ok := errors.AsType[*weir.Error](err)
		if !ok || e.Code != weir.Invalid || e.Field+map[bool]string{true: " "}[def.Expire == "soon"] != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	_, err := trigger.Compile(&weir.Trigger{Name: "t", Match: []weir.Criterion{{Where: "true && dat.x"}}}, 1)
	if c, ok := errors.AsType[*expr.CompileError](err); !ok || c.Offset != 8 {
		t.Errorf("place: %v", err)
	}
	_, err = trigger.Compile(&weir.Trigger{Name: "t", Match: match, Expire: "last + x"}, 1)
	if c, ok := errors.AsType[*timex.SyntaxError](err); !ok || c.Offset != 7 {
		t.Errorf("place: %v", err)
	}
}

func TestGroupsExpireByTheirTimes(t *testing.T) {
	t.Parallel()
	in := timex.Inputs{First: 1, Last: 2, Opened: 3, Joined: 4}
	match := []weir.Criterion{{}}

	at, never := compile(t, weir.Trigger{Name: "t", Match: match, Expire: "last + 1h"}).Expire(in)
	_, noneNever := compile(t, weir.Trigger{Name: "t", Match: match}).Expire(in)

	if at != weir.Time(2).Add(time.Hour) || never || !noneNever {
		t.Errorf("%v %v %v", at, never, noneNever)
	}
}

func TestTheConcurrencyKeyIsCanonical(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ per, groupKey, want string }{
		{"group.key.user", `{"user":"ann"}`, `"ann"`},
		{"group.key.n", `{"n":1.0}`, `1.0`},
		{"group.key.other", `{"n":1.0}`, ``},
		{"data.user", "", `"bob"`},
		{`event.type + "/" + data.user`, "", `"x/bob"`},
	} {
		per, err := trigger.CompilePer(c.per)
		if err != nil {
			t.Fatal(err)
		}
		if got := per.Key(event("x", `{"user":"bob"}`), c.groupKey); got != c.want {
			t.Errorf("%s: %s, want %s", c.per, got, c.want)
		}
	}
	if _, err := trigger.CompilePer("secret.x"); err == nil {
		t.Error("per sees secrets")
	}
}

func TestEqualDefinitionsHaveEqualShapes(t *testing.T) {
	t.Parallel()
	def := weir.Trigger{Name: "t", Match: []weir.Criterion{{Types: []string{"a"}}}, Expire: "never", Fire: []weir.Criterion{{Count: 2}}}
	other := def
	other.Match = []weir.Criterion{{Types: []string{}}}

	if diff := cmp.Diff(compile(t, def).Shape(), compile(t, def).Shape()); diff != "" {
		t.Error(diff)
	}
	if compile(t, def).Shape() == compile(t, other).Shape() {
		t.Error("another match has the same shape")
	}
}

// However many triggers there are, those that miss an event alike are told by one.
func TestTriggersThatMissAFieldAlikeAreToldTogether(t *testing.T) {
	t.Parallel()
	all := []*trigger.Compiled{}
	for name, match := range map[string][]weir.Criterion{
		"a": {{Types: []string{"x"}, Where: `data.o.who == 1`}},
		"b": {{Types: []string{"x"}, Where: `"ann" == data.o["who"]`}},
		"c": {{Types: []string{"x"}, Where: `data.o.who == 1 && data.n == 2`}},                         // may hold not
		"d": {{Types: []string{"x", "y"}, Where: `data.o.who == 1`}},                                   // stands twice
		"e": {{Types: []string{"*", "!x"}, Where: `data.o.who == 1`}},                                  // takes no x
		"f": {{Types: []string{"x"}, Where: `data.o.who == 1`}, {Types: []string{"x"}, Where: "true"}}, // may match
	} {
		all = append(all, compile(t, weir.Trigger{Name: name, Match: match}))
	}
	set := trigger.NewSet(1, all)
	for data, want := range map[string]string{
		`{"o":{},"n":1}`:      "f {} meets []; d: missing data.o.who; f: missing data.o.who; a, b: missing data.o.who; ",
		`{"n":2}`:             "f {} meets []; c: missing data.o; d: missing data.o; f: missing data.o; a, b: missing data.o; ",
		`{"o":{"who":[1]}}`:   "f {} meets []; ",
		`{"o":{"who":"ann"}}`: "b {} meets []; f {} meets []; ",
		`{"o":{"who":1.0}}`:   "a {} meets []; d {} meets []; f {} meets []; c: missing data.n; ",
	} {
		var r trigger.Result
		set.Match(event("x", data), &r)
		if got := words(&r); got != want {
			t.Errorf("%s:\n got %q\nwant %q", data, got, want)
		}
	}
}
