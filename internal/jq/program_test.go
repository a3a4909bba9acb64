package jq

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/itchyny/gojq"

	"weir"
)

// run runs a program on data, with an answer of a mebibyte at most.
func run(t testing.TB, program, data string) (string, error) {
	t.Helper()
	p, err := Compile(program)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Run(t.Context(), Input{
		Data: []byte(data), Limit: 1 << 20,
		Event: map[string]any{"id": "e1", "type": "order.placed"},
		Group: map[string]any{"key": map[string]any{"user": "ann"}},
		Run:   map[string]any{"try": json.Number("2")},
	})
	return string(out), err
}

func TestAProgramAnswersWithOneValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ program, data, want string }{
		{`{id: .instance_id, total}`, `{"instance_id":"i1","total":7,"x":1}`, `{"id":"i1","total":7}`},
		{`.total * 2`, `{"total":7}`, `14`},
		{`$event.type + "/" + $group.key.user`, `null`, `"order.placed/ann"`},
		{`$run.try + 1`, `null`, `3`},
		{`empty`, `1`, ``},
		{`null`, `1`, `null`},
		{`[.[] | . * .]`, `[1,2]`, `[1,4]`},
		{`.items[].price |= . + 1`, `{"items":[{"price":1},{"price":2}]}`, `{"items":[{"price":2},{"price":3}]}`},
		{`del(.a, .b.c)`, `{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"d":3}}`},
		{`.t | sub("(?<y>\\d{4})-(?<m>\\d{2})"; "\(.m)/\(.y)")`, `{"t":"2026-01"}`, `"01/2026"`},
		{`try error("x") catch ("caught " + .)`, `1`, `"caught x"`},
		{`def now: 5; now`, `1`, `5`},
		{`group_by(.k) | map({k: .[0].k, n: length})`, `[{"k":2},{"k":1},{"k":2}]`, `[{"k":1,"n":1},{"k":2,"n":2}]`},
		{`.t | fromdate | todate`, `{"t":"2026-01-31T09:30:00Z"}`, `"2026-01-31T09:30:00Z"`},
		{`@base64 "x\(.a)"`, `{"a":"hi"}`, `"xaGk="`},
	} {
		got, err := run(t, c.program, c.data)
		if err != nil || got != c.want {
			t.Errorf("%s of %s is %s, %v, want %s", c.program, c.data, got, err, c.want)
		}
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	const data = `{"big":12345678901234567890123,"exact":1.0,"id":9007199254740993,"long":0.1000000000000000055}`

	same, err := run(t, `.`, data)
	if err != nil || same != data {
		t.Errorf("untouched: %s, %v", same, err)
	}
	for program, want := range map[string]string{
		`.id + 1`: "9007199254740994", `.big + 1`: "12345678901234567890124", `.id | tostring`: `"9007199254740993"`,
		`{id}`: `{"id":9007199254740993}`, `9223372036854775807 + 1`: "9223372036854775808",
	} {
		if got, err := run(t, program, data); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", program, got, err, want)
		}
	}
}

func TestWhatIsNotOfTheEventAloneIsRefusedByName(t *testing.T) {
	t.Parallel()
	for program, says := range map[string]string{
		`now`: "now is not taken", `.t | localtime`: "localtime", `strflocaltime("%H")`: "strflocaltime",
		`input`: "input", `[inputs]`: "input", `debug`: "debug", `debug("x")`: "debug", `env.HOME`: "env", `$ENV.HOME`: "env",
		`input_filename`: "input_filename", `halt`: "halt is not taken", `halt_error`: "halt_error", `builtins`: "builtins",
		`import "a" as a; .`: "modules", `include "a"; .`: "modules", `module {}; .`: "modules", `"x" | modulemeta`: "modulemeta",
		`.a |`: "unexpected EOF at line 1, column 5", "{\n a: }": `unexpected token "}" at line 2, column 5`,
		`nothing(1)`: "nothing/1", `$nowhere`: "$nowhere", `def f: now; f`: "now is not taken",
		strings.Repeat(" ", MaxSource) + ".": "65537 bytes",
	} {
		_, err := Compile(program)
		if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, want it to say %q", program, err, says)
		}
	}
}

func TestTheProgramsErrorsAreItsOwn(t *testing.T) {
	t.Parallel()
	for program, says := range map[string]string{
		`.a.b`: "expected an object", `error("no luck")`: "no luck", `{} | error`: "error: {}", `1, 2`: ErrSeveral.Error(),
		`"x" * 2000000`: ErrTooLong.Error(),
	} {
		_, err := run(t, program, `{"a":1}`)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", program, err, says)
		}
	}
	if _, err := run(t, `.`, `{"a":1} x`); err == nil {
		t.Error("data that is not JSON is taken")
	}
}

// hostile are programs that would take for ever, or all memory, by one way
// each. What leads up to it is small, so that they get there on few units.
var hostile = map[string]string{
	"endless array":               `[range(1e12)]`,
	"endless objects":             `[range(1e12) | {a: ., b: 1}]`,
	"endless loop":                `until(false; .)`,
	"endless recursion":           `def f: f + 1; f`,
	"endless forks":               `def f: f, f; f`,
	"endless array of itself":     `def f: [f]; f`,
	"endless repeat":              `[repeat(.)]`,
	"endless last":                `last(repeat(1))`,
	"repeated text":               `"a" * 1e9`,
	"repeated text, caught":       `try ("a" * 1e9) catch 1`,
	"repeated text in vain":       `[range(1000) | "a" * 1e7 | length]`,
	"doubled text":                `reduce range(60) as $i ("a"; . + .)`,
	"doubled array":               `reduce range(60) as $i ([1]; . + .)`,
	"doubled nesting":             `reduce range(60) as $i (1; [., .])`,
	"doubled, to JSON":            `reduce range(60) as $i (1; [., .]) | tojson`,
	"doubled, as text":            `reduce range(60) as $i (1; [., .]) | "\(.)"`,
	"doubled, compared":           `reduce range(60) as $i (1; [., .]) | . == (.[0] | [., .])`,
	"doubled, sorted":             `reduce range(60) as $i (1; [., .]) | [., .] | sort`,
	"doubled, flat":               `reduce range(60) as $i (1; [., .]) | flatten`,
	"doubled, without a":          `reduce range(60) as $i ({}; {a: ., b: .}) | del(.a.a)`,
	"doubled, merged":             `reduce range(60) as $i ({}; {a: ., b: .}) | . * .`,
	"doubled, contained":          `reduce range(60) as $i (1; [., .]) | contains(.)`,
	"doubled, an index":           `reduce range(60) as $i (1; [., .]) as $x | [$x, $x] | index([$x])`,
	"doubled, as an error":        `reduce range(60) as $i (1; [., .]) | error`,
	"doubled, as a path":          `reduce range(60) as $i (1; [., .]) | getpath([.])`,
	"one text many times":         `("a" * 1e6) as $s | [range(1e4) | $s] | add`,
	"one text many times, joined": `("a" * 1e6) as $s | [range(1e4) | $s] | join(",")`,
	"one array many times":        `[range(1e4)] as $s | [range(1e4) | $s] | add`,
	"one array many times, flat":  `[range(1e4)] as $s | [range(1e4) | $s] | flatten`,
	"turned over":                 `[[range(1e4)]] + [range(1e4) | []] | transpose`,
	"a far index":                 `.[500000000] = 1`,
	"a far index, updated":        `.[500000000] |= 1`,
	"a far index by path":         `setpath(["a", 500000000]; 1)`,
	"a long path":                 `null | setpath([range(1e4) | "a"]; 1)`,
	"copies kept":                 `[range(1e3)] as $a | [range(1e4) as $i | $a | .[0] = $i]`,
	"object copies kept":          `([range(300) | {"\(.)": 1}] | add) as $a | [range(1e4) as $i | $a | .x = $i]`,
	"large numbers":               `reduce range(60) as $i (7; . * .)`,
	"a long number":               `("7" * 1e6) | tonumber`,
	"differences":                 `[range(1e4)] as $a | $a - ($a | map(. + 1000000))`,
	"deep JSON":                   `("[" * 1e5) | fromjson`,
	"much JSON":                   `("[" + ("[]," * 3e5) + "1]") | fromjson`,
	"letters":                     `("a" * 1e6) | explode`,
	"parts":                       `("a" * 1e6) / ""`,
	"matches":                     `("a" * 3e5) | [match("a"; "g")] | length`,
	"empty matches":               `("a" * 3e5) | [match(""; "g")] | length`,
	"a dear expression":           `("a" * 1e6) | test("(a|aa|aaa|aaaa){500}b")`,
	"many expressions":            `[range(1e6) | "" | test("(((a?){30}){30})\(.)")]`,
	"many groups":                 `[range(1e6) | "" | match("()" * 1000)]`,
	"many flags":                  `[range(1e6) | . as $n | "" | test("a{1000}"; "g" * $n)]`,
	"replacements":                `("a" * 3e4) as $s | $s | gsub("a"; $s)`,
	"a wide format":               `0 | strftime("%1024d" * 1e5)`,
	"combinations":                `[range(10)] | [combinations(12)] | length`,
	"permutations":                `[limit(1e9; repeat(1))] | length`,
	"lists kept":                  `[range(1e4)] as $x | def f: $x | .[] | f; f`,
	"lists made":                  `([range(1e3) | {"\(.)": 1}] | add) as $x | [range(1e4) | $x | first(.[])]`,
	"steps of paths":              `[paths(..)] | until(false; .)`,
	"deep nesting":                `reduce range(1e4) as $i (0; [.]) | tojson`,
	"deep answer":                 `reduce range(1e4) as $i (0; [.])`,
	"deep, compared":              `reduce range(1e4) as $i (0; [.]) | . == [.]`,
}

// few are an eighth of the units that a run has, for tests of an eighth of its
// work: under the race detector all of it takes half a minute.
const few = 8

// TestEveryProgramEnds also measures: the time of one run, and what the process
// takes from the system.
func TestEveryProgramEnds(t *testing.T) {
	t.Parallel()
	for name, program := range hostile {
		t.Run(name, func(t *testing.T) {
			in, err := newInstance(program)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()

			out, err := in.run(t.Context(), Input{Data: []byte(`null`), Limit: 1 << 20}, budget(0)/few)

			took := time.Since(began)
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			t.Logf("%v, %d MiB from the system: %v", took.Round(time.Millisecond), mem.Sys>>20, err)
			if err == nil {
				t.Errorf("answers %.40s", out)
			}
			if took > 10*time.Second || mem.Sys > 1<<30 {
				t.Errorf("took %v and %d MiB", took, mem.Sys>>20)
			}
		})
	}
}

func TestAProgramThatOnlyCallsItselfEndsBeforeItsStackIsLarge(t *testing.T) {
	t.Parallel()
	in, err := newInstance(`def f: f + 1; f`)
	if err != nil {
		t.Fatal(err)
	}
	m := in.meter
	m.start(t.Context(), most)
	machine := in.code.RunWithContext(m, nil, nil, nil, nil)
	m.watch(machine)

	_, _, err = m.next(machine)

	if !errors.Is(err, ErrBudget) || m.left < most/2 {
		t.Errorf("%v, with %d units left", err, m.left)
	}
}

func TestExpressionsThatComeFromDataAreNotKeptForEver(t *testing.T) {
	t.Parallel()
	p, err := Compile(`. as $pattern | "" | test($pattern)`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		data := strconv.Quote("(((a?){30}){30})" + strconv.Itoa(i))
		if _, err := p.Run(t.Context(), Input{Data: []byte(data), Limit: 100}); err != nil {
			t.Fatal(err)
		}
		if in, _ := p.spare.Get().(*instance); in != nil { // the pool may have dropped it
			if in.meter.kept == 0 || in.meter.kept > maxKept || len(in.meter.expressions) > 20 {
				t.Fatalf("%d units and %d expressions are kept after %d runs", in.meter.kept, len(in.meter.expressions), i+1)
			}
			p.spare.Put(in)
		}
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	why := errors.New("told to")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	p, err := Compile(`until(false; .)`)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := p.Run(ctx, Input{Data: []byte(`1`), Limit: 100}); !errors.Is(err, why) {
		t.Error(err)
	}
	if out, err := p.Run(ctx, Input{Data: []byte(`{}`), Limit: 100}); !errors.Is(err, why) {
		t.Errorf("again: %s, %v", out, err)
	}
}

func TestRunsInManyGoroutinesDoNotMeet(t *testing.T) {
	t.Parallel()
	p, err := Compile(`. as $x | reduce range(1000) as $i (0; . + $x)`)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			data, _ := json.Marshal(n)
			want, _ := json.Marshal(1000 * n)
			for range 20 {
				out, err := p.Run(t.Context(), Input{Data: data, Limit: 100})
				if diff := cmp.Diff(string(want), string(out)); diff != "" || err != nil {
					t.Error(diff, err)
				}
			}
		})
	}
	all.Wait()
}

// TestWorkOnAMebibyteIsWithinTheBudget does what people do on as much data as
// an event may have, or on an eighth of that with an eighth of the budget.
func TestWorkOnAMebibyteIsWithinTheBudget(t *testing.T) {
	t.Parallel()
	item := `{"id":123456,"name":"a thing","price":12.5,"tags":["a","b"],"meta":{"k":"v"}},`
	data := `{"items":[` + strings.TrimSuffix(strings.Repeat(item, (1<<20)/few/len(item)), ",") + `]}`
	for _, program := range []string{
		`.items | map(.price) | add`, `.items | group_by(.name) | length`, `[.items[] | {id, total: (.price * 2)}] | length`,
		`.items[].price |= . + 1`, `del(.items[].meta)`, `.items |= sort_by(.id)`, `[.items[] | . + {region: "eu"}] | length`,
		`.items as $all | [$all[] | .price / ($all | length)] | add`, `tojson | length`, `[.. | strings] | length`,
		`.items | map(.name | test("^a [a-z]{3,10}$")) | all`, `walk(if type == "number" then . + 1 else . end)`,
		`reduce .items[] as $i ({}; .[$i.name] += 1)`, `.items | unique_by(.id)`, `.items |= map(select(.price > 1))`,
	} {
		in, err := newInstance(program)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.run(t.Context(), Input{Data: []byte(data), Limit: 1 << 20}, budget(1<<20)/few); err != nil {
			t.Errorf("%s: %v", program, err)
		}
	}
}

// FuzzRun checks that whatever compiles ends, and answers JSON or an error.
func FuzzRun(f *testing.F) {
	f.Add(`{id: .a, t: $event.type}`, `{"a":1}`)
	f.Add(`[.[] | tostring | gsub("a"; "b")]`, `["a",1.0]`)
	f.Add(`reduce range(9) as $i (.; . * 3)`, `"x"`)
	f.Add(`try setpath([1e9]; .) catch .`, `null`)
	f.Fuzz(func(t *testing.T, program, data string) {
		p, err := Compile(program)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		out, err := p.Run(ctx, Input{Data: []byte(data), Limit: 1 << 20})
		if err == nil && out != nil && !json.Valid(out) {
			t.Errorf("%q of %q is %q", program, data, out)
		}
	})
}

// TestEveryFunctionOfJQIsTakenOrRefusedForAReason asks gojq which there are.
func TestEveryFunctionOfJQIsTakenOrRefusedForAReason(t *testing.T) {
	t.Parallel()
	query, err := gojq.Parse(`builtins[]`)
	if err != nil {
		t.Fatal(err)
	}
	names := query.Run(nil)
	count := 0
	for name, ok := names.Next(); ok; name, ok = names.Next() {
		word, arity, _ := strings.Cut(name.(string), "/")
		program := word
		if n, _ := strconv.Atoi(arity); n > 0 {
			program += "(" + strings.TrimSuffix(strings.Repeat(".; ", n), "; ") + ")"
		}
		_, err := Compile(program)
		if _, known := reasons[word]; err != nil && !known && word != "inputs" && word != "builtins" && word != "modulemeta" {
			t.Errorf("%s: %v", program, err)
		}
		count++
	}
	if count < 150 {
		t.Errorf("only %d functions", count)
	}
}
