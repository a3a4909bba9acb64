package work

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"weir"
)

// mask takes the secrets that a try has used out of what is kept of it, also
// where they stand in URLs or JSON.
type mask struct {
	values   []string
	replacer *strings.Replacer // nil: no secrets
}

const masked = "***"

func (m *mask) add(value string) {
	if value == "" || slices.Contains(m.values, value) {
		return
	}
	m.values = append(m.values, value)
	var forms []string
	for _, v := range m.values {
		quoted, _ := json.Marshal(v) // a string: it cannot fail
		forms = append(forms, v, url.QueryEscape(v), url.PathEscape(v), string(quoted[1:len(quoted)-1]))
	}
	// The longest first, so that no part of one is left of another that it is part of.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f, masked)
	}
	m.replacer = strings.NewReplacer(pairs...)
}

func (m *mask) text(s string) string {
	if m.replacer == nil || s == "" {
		return s
	}
	return m.replacer.Replace(s)
}

// json masks JSON. What is no JSON any more, because a secret was a number or
// part of the syntax, is hidden as a whole.
func (m *mask) json(b []byte) []byte {
	if m.replacer == nil || b == nil {
		return b
	}
	out := []byte(m.replacer.Replace(string(b)))
	if !json.Valid(out) {
		return []byte(`"` + masked + `"`)
	}
	return out
}

// data masks the data of an event, whatever it is.
func (m *mask) data(e *weir.Event) []byte {
	switch {
	case m.replacer == nil || e.Data == nil:
		return e.Data
	case e.IsJSON():
		return m.json(e.Data)
	}
	return []byte(m.replacer.Replace(string(e.Data)))
}
