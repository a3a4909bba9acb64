package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types/ref"
)

// Template is text with CEL expressions in ${…}. "$${" writes "${".
type Template struct {
	parts []part
}

// part is literal text, or an expression.
type part struct {
	text    string
	program *Program // nil: text
}

// CompileTemplate reads a template. The error is a *CompileError with places in
// the whole of source.
func CompileTemplate(source string, scope Scope) (*Template, error) {
	t := &Template{}
	text, at := "", 0
	for at < len(source) {
		i := strings.Index(source[at:], "${")
		if i < 0 {
			break
		}
		i += at
		if i > at && source[i-1] == '$' {
			text += source[at:i-1] + "${"
			at = i + 2
			continue
		}
		text += source[at:i]
		end := closing(source, i+2)
		if end < 0 {
			return nil, (&CompileError{Text: "${", Message: "${ has no closing }"}).in(source, i)
		}
		p, err := Compile(source[i+2:end], scope)
		if err != nil {
			return nil, inTemplate(err, source, i+2)
		}
		if text != "" {
			t.parts = append(t.parts, part{text: text})
		}
		t.parts = append(t.parts, part{program: p})
		text, at = "", end+1
	}
	if text += source[at:]; text != "" {
		t.parts = append(t.parts, part{text: text})
	}
	return t, nil
}

func inTemplate(err error, source string, from int) error {
	if c, ok := errors.AsType[*CompileError](err); ok {
		return c.in(source, from)
	}
	return err
}

// closing returns the place of the } that ends the expression which begins at
// i, or -1. Braces inside the expression and its strings do not.
func closing(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"', '\'':
			i = skipQuoted(s, i)
			continue
		}
		i++
	}
	return -1
}

// skipQuoted returns the place after the CEL string literal whose quote is at
// i: one or three quotes, raw after an r.
func skipQuoted(s string, i int) int {
	raw := i > 0 && (s[i-1] == 'r' || s[i-1] == 'R')
	quote := s[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s[i:], triple) {
		quote = triple
	}
	for i += len(quote); i < len(s); i++ {
		if s[i] == '\\' && !raw {
			i++
			continue
		}
		if strings.HasPrefix(s[i:], quote) {
			return i + len(quote)
		}
	}
	return len(s)
}

// Render evaluates the expressions and returns the text. Strings are written as
// they are, null as nothing, maps and lists as JSON. Errors are those of
// Program.Bool.
func (t *Template) Render(v *Vars) (string, error) { return t.RenderWith(v, nil) }

// RenderWith is Render with each value as escape makes it, which is also given
// the text that stands before it; nil leaves values as they are.
func (t *Template) RenderWith(v *Vars, escape func(before, value string) string) (string, error) {
	if s, ok := t.Literal(); ok {
		return s, nil
	}
	var b []byte
	for _, p := range t.parts {
		if p.program == nil {
			b = append(b, p.text...)
			continue
		}
		out, err := p.program.eval(v)
		if err != nil {
			return "", err
		}
		from := len(b)
		if b, err = appendText(b, out); err != nil {
			return "", err
		}
		if escape != nil {
			b = append(b[:from], escape(string(b[:from]), string(b[from:]))...)
		}
	}
	return string(b), nil
}

// Literal returns the text of a template without expressions.
func (t *Template) Literal() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].program == nil:
		return t.parts[0].text, true
	}
	return "", false
}

// Prefix returns the literal text before the first expression.
func (t *Template) Prefix() string {
	if len(t.parts) == 0 {
		return ""
	}
	return t.parts[0].text
}

// Uses reports whether an expression of the template names a variable.
func (t *Template) Uses(name string) bool {
	for _, p := range t.parts {
		if p.program != nil && p.program.Uses(name) {
			return true
		}
	}
	return false
}

// Secrets returns the names of the secrets that the template uses, sorted.
func (t *Template) Secrets() []string {
	var names []string
	for _, p := range t.parts {
		if p.program != nil {
			names = append(names, p.program.Secrets()...)
		}
	}
	return unique(names)
}

// whole returns the value of a template that is one expression and nothing
// else.
func (t *Template) whole(v *Vars) (ref.Val, bool, error) {
	if len(t.parts) != 1 || t.parts[0].program == nil {
		return nil, false, nil
	}
	out, err := t.parts[0].program.eval(v)
	return out, true, err
}

// JSONTemplate is JSON in which every string is a template. A string that is
// exactly one ${…} stands for the value itself, with its type.
type JSONTemplate struct {
	parts []jsonPart
}

// jsonPart is literal JSON, or a string that is a template.
type jsonPart struct {
	literal  []byte
	template *Template // nil: literal
	key      bool      // names of members are text whatever they are made of
}

// CompileJSON reads a JSON template. Names of members are templates too, and
// stay in their order. The error is a *CompileError with places in raw where
// it is about JSON, and in the string where it is about a template.
func CompileJSON(raw json.RawMessage, scope Scope) (*JSONTemplate, error) {
	if !json.Valid(raw) {
		return nil, &CompileError{Line: 1, Column: 1, Message: "is not JSON"}
	}
	t := &JSONTemplate{}
	from := 0
	for i := 0; i < len(raw); i++ {
		if raw[i] != '"' {
			continue
		}
		end, _ := skipString(raw, i)
		s, _ := unquote(raw[i:end])
		template, err := CompileTemplate(s, scope)
		if err != nil {
			return nil, err
		}
		if text, ok := template.Literal(); !ok || text != s {
			after := skipSpace(raw, end)
			t.parts = append(t.parts,
				jsonPart{literal: raw[from:i]},
				jsonPart{template: template, key: after < len(raw) && raw[after] == ':'})
			from = end
		}
		i = end - 1
	}
	t.parts = append(t.parts, jsonPart{literal: raw[from:]})
	return t, nil
}

// Render evaluates the templates and returns JSON. Errors are those of
// Program.Bool.
func (t *JSONTemplate) Render(v *Vars) ([]byte, error) {
	var b []byte
	for _, p := range t.parts {
		if p.template == nil {
			b = append(b, p.literal...)
			continue
		}
		var err error
		if b, err = p.render(b, v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (p *jsonPart) render(b []byte, v *Vars) ([]byte, error) {
	if !p.key {
		value, ok, err := p.template.whole(v)
		if err != nil {
			return nil, err
		}
		if ok {
			return appendJSON(b, value)
		}
	}
	s, err := p.template.Render(v)
	if err != nil {
		return nil, fmt.Errorf("render JSON: %w", err)
	}
	return appendString(b, s), nil
}

// Uses reports whether an expression of the template names a variable.
func (t *JSONTemplate) Uses(name string) bool {
	return slices.ContainsFunc(t.parts, func(p jsonPart) bool { return p.template != nil && p.template.Uses(name) })
}

// Secrets returns the names of the secrets that the template uses, sorted.
func (t *JSONTemplate) Secrets() []string {
	var names []string
	for _, p := range t.parts {
		if p.template != nil {
			names = append(names, p.template.Secrets()...)
		}
	}
	return unique(names)
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
