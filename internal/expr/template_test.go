package expr_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/expr"
)

func stepVars() *expr.Vars {
	return &expr.Vars{
		Events: []*weir.Record{record(sample)},
		Group:  expr.Fields{"key": expr.JSON(`{"user":"ann","n":1.0}`), "count": 3},
		Run:    expr.Fields{"id": "run_1", "made": weir.Time(1_700_000_000_000_000), "error": nil},
		Result: expr.JSON(`{"ok":true}`),
		Secret: func(name string) (string, error) {
			if name == "token" {
				return "s3cret", nil
			}
			return "", errors.New("no secret " + name)
		},
	}
}

func TestTemplatesRender(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		``:      "",
		`plain`: "plain",
		`https://x/${data.user}/${data.memory_mb}`:        "https://x/ann/1024",
		`${data.price}|${data.n}|${true}`:                 "1.0||true",
		`${data.items}`:                                   `[{"qty":2,"sku":"x"},{"qty":3,"sku":"y"}]`,
		`${data.escape}`:                                  "A\n",
		`$${data.user} $ {} $x`:                           "${data.user} $ {} $x",
		`${{"a": "}"}.a}${'}' + "{"}`:                     "}}{",
		`${r"\"}`:                                         `\`,
		`${"""a"}"""}`:                                    `a"}`,
		`${group.key.user} ${group.key.n} ${group.count}`: "ann 1.0 3",
		`${run.id} ${run.made} ${run.error}`:              "run_1 2023-11-14T22:13:20.000000Z ",
		`${result.ok}`:                                    "true",
		`${events.size()} ${events[0].data.user}`:         "1 ann",
		`Bearer ${secret.token}`:                          "Bearer s3cret",
		`${event.time}`:                                   "2023-11-14T22:13:20.000000Z",
		`${duration("90s")}`:                              "1m30s",
	} {
		tpl, err := expr.CompileTemplate(source, expr.ScopeStep)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, err := tpl.Render(stepVars())
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", source, got, err, want)
		}
	}
}

func TestATemplateSaysWhatIsLiteralAndWhichSecretsItUses(t *testing.T) {
	t.Parallel()
	tpl, err := expr.CompileTemplate("https://x/${secret.b}?${secret['a'] + secret.b + data.x}", expr.ScopeStep)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := expr.CompileTemplate("a$${b}", expr.ScopeStep)
	if err != nil {
		t.Fatal(err)
	}

	if tpl.Prefix() != "https://x/" {
		t.Errorf("prefix %q", tpl.Prefix())
	}
	if diff := cmp.Diff([]string{"a", "b"}, tpl.Secrets()); diff != "" {
		t.Error(diff)
	}
	if !tpl.Uses("data") || tpl.Uses("event") {
		t.Errorf("uses data %v, event %v", tpl.Uses("data"), tpl.Uses("event"))
	}
	if s, ok := plain.Literal(); !ok || s != "a${b}" {
		t.Errorf("literal %q %v", s, ok)
	}
	if _, ok := tpl.Literal(); ok {
		t.Error("a template with expressions is literal")
	}
}

func TestASecretIsRenderedAndAnUnknownOneFails(t *testing.T) {
	t.Parallel()
	v := stepVars()
	tpl, err := expr.CompileTemplate("${secret.token}", expr.ScopeStep)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tpl.Render(v); got != "s3cret" || err != nil {
		t.Error(got, err)
	}
	none, err := expr.CompileTemplate("${secret.none}", expr.ScopeStep)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Render(v); err == nil {
		t.Error("an unknown secret renders")
	}
}

func TestEventMeansTheOnlyEvent(t *testing.T) {
	t.Parallel()
	v := stepVars()
	v.Events = append(v.Events, v.Events[0])
	for _, source := range []string{"${event.type}", "${data.user}", "${data}"} {
		tpl, err := expr.CompileTemplate(source, expr.ScopeStep)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tpl.Render(v); !errors.Is(err, expr.ErrSeveral) || expr.Reason(err) != "several" {
			t.Errorf("%s: %v", source, err)
		}
	}

	v = stepVars()
	v.Event = v.Events[0]
	v.Events = append(v.Events, v.Event)

	if got, err := value(t, "data.user", expr.ScopeStep, v); got != "ann" || err != nil {
		t.Errorf("each: %v %v", got, err)
	}
}

func TestMistakesInTemplatesAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]*expr.CompileError{
		"é\n${dat.x}": {Offset: 5, Line: 2, Column: 3, Text: "dat", Message: "unknown name dat"},
		"ab${data.x":  {Offset: 2, Line: 1, Column: 3, Text: "${", Message: "${ has no closing }"},
		"${a}${":      {Offset: 2, Line: 1, Column: 3, Text: "a", Message: "unknown name a"},
	} {
		_, err := expr.CompileTemplate(source, expr.ScopeSource)
		got, _ := errors.AsType[*expr.CompileError](err)
		if got != nil && got.Message == "dat is not known here: this expression sees header, query, body, topic, secret" {
			got.Message = want.Message
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", source, diff)
		}
	}
}

func TestJSONTemplatesKeepTypes(t *testing.T) {
	t.Parallel()
	raw := `{"user":"${data.user}","n":"${data.memory_mb}","price":"${data.price}","items":"${data.items}","text":"${data.memory_mb} MB",
 "null":"${data.n}","plain":[1,1.0,"a\nb",true],"${data.user}":"$${x}","quote":"${'\"'}"}`
	tpl, err := expr.CompileJSON(json.RawMessage(raw), expr.ScopeStep)
	if err != nil {
		t.Fatal(err)
	}

	got, err := tpl.Render(stepVars())
	if err != nil {
		t.Fatal(err)
	}

	want := `{"user":"ann","n":1024,"price":1.0,"items":[{"qty":2,"sku":"x"},{"qty":3,"sku":"y"}],"text":"1024 MB",
 "null":null,"plain":[1,1.0,"a\nb",true],"ann":"${x}","quote":"\""}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(got) {
		t.Error("not JSON")
	}
}

func TestMapsAreWalkedInOneOrder(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`${{"c": 1, "a": 2, "b": 3}.map(k, k)}`:     `["a","b","c"]`,
		`${{3: 1, 1: 2, 2: 3}.map(k, k)}`:           `[1,2,3]`,
		`${data.map(k, k)[0]}${run.map(k, k)}`:      `user["error","id","made"]`,
		`${[{"c": 1, "a": 2}].map(m, m.map(k, k))}`: `[["a","c"]]`,
	} {
		tpl, err := expr.CompileTemplate(source, expr.ScopeStep)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if got, err := tpl.Render(stepVars()); got != want || err != nil {
				t.Fatalf("%s: %s %v, want %s", source, got, err, want)
			}
		}
	}
}

func TestKeysKeepKindsApart(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`1`: "1", `1.0`: "1.0", `"1"`: `"1"`, `null`: "null", `true`: "true", `1e21`: "1e+21", `-0.0`: "-0.0",
		`"<é>\u0001\""`: `"<é>\u0001\""`, `data.price`: "1.0", `data.n`: "null",
	} {
		p, err := expr.Compile(source, expr.ScopeStep)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.AppendKey(nil, stepVars()); string(got) != want || err != nil {
			t.Errorf("%s: %s %v, want %s", source, got, err, want)
		}
	}
	for _, source := range []string{"data.items", "data.nested", "event.time", "data.price / 0.0"} {
		p, err := expr.Compile(source, expr.ScopeStep)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.AppendKey(nil, stepVars()); expr.Reason(err) != "error" {
			t.Errorf("%s: %s %v", source, got, err)
		}
	}
}
