package pipeline

import (
	"strings"
	"testing"

	"weir"
)

func steps(urls ...string) *weir.Pipeline {
	p := &weir.Pipeline{Steps: []weir.Step{{Filter: &weir.FilterStep{Where: "true"}}}}
	for _, u := range urls {
		p.Steps = append(p.Steps, weir.Step{HTTP: &weir.HTTPStep{URL: u}})
	}
	return p
}

func TestNextActionSkipsTransformsAndWhatIsDone(t *testing.T) {
	t.Parallel()
	done := func(index int, finished bool) weir.StepOutcome {
		return weir.StepOutcome{Index: index, Finished: finished}
	}

	for name, c := range map[string]struct {
		p    *weir.Pipeline
		done []weir.StepOutcome
		want int
		ok   bool
	}{
		"empty":           {p: &weir.Pipeline{}},
		"none":            {},
		"only transforms": {p: steps()},
		"first":           {p: steps("a", "b"), want: 1, ok: true},
		"second":          {p: steps("a", "b"), done: []weir.StepOutcome{done(1, true)}, want: 2, ok: true},
		"tried in vain":   {p: steps("a", "b"), done: []weir.StepOutcome{done(1, false)}, want: 1, ok: true},
		"all":             {p: steps("a", "b"), done: []weir.StepOutcome{done(1, true), done(2, true)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := NextAction(c.p, c.done)

			if got != c.want || ok != c.ok {
				t.Errorf("got %d, %v; want %d, %v", got, ok, c.want, c.ok)
			}
		})
	}
}

func TestOriginIsThatOfTheNextActionWhereItIsLiteral(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"https://billing.example/usage/${data.id}":  "https://billing.example",
		"HTTPS://Billing.Example:443/x":             "https://billing.example",
		"http://billing.example:80":                 "http://billing.example",
		"http://billing.example:443/":               "http://billing.example:443",
		"https://billing.example:8443?x=${data.id}": "https://billing.example:8443",
		"https://user:pw@billing.example/x":         "https://billing.example",
		"http://[2001:DB8::1]:8080/x":               "http://[2001:db8::1]:8080",
		"https://${data.host}/x":                    "",
		"https://billing.example${data.port}/x":     "",
		"https://billing.example:${data.port}/x":    "",
		"${data.url}":                               "",
		"${data.scheme}://billing.example/x":        "",
		"ftp://billing.example/x":                   "",
		"https:///x":                                "",
		"https://" + strings.Repeat("h", 253) + "/": "https://" + strings.Repeat("h", 253),
		"https://" + strings.Repeat("h", 254) + "/": "",
		"https://h:000000443/":                      "",
		"/x":                                        "",
		"":                                          "",
	} {
		if got := Origin(steps(template), nil); got != want {
			t.Errorf("origin of %q: got %q, want %q", template, got, want)
		}
	}

	p := steps("https://a.example/", "https://b.example/")
	if got := Origin(p, []weir.StepOutcome{{Index: 1, Finished: true}}); got != "https://b.example" {
		t.Errorf("after the first: got %q", got)
	}
	p.Steps[1] = weir.Step{Emit: &weir.EmitStep{Type: "x"}}
	if got := Origin(p, nil); got != "" {
		t.Errorf("before an emit: got %q", got)
	}
	if got := Origin(nil, nil); got != "" {
		t.Errorf("empty pipeline: got %q", got)
	}
}
