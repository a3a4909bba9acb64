package project

import (
	"errors"
	"strings"
	"unicode/utf8"

	"weir/internal/expr"
	"weir/internal/timex"
)

// condition reads an expression that is true or false.
func (r *reader) condition(n *node, scope expr.Scope, example string) string {
	return r.compile(n, example, func(code string) error {
		_, err := expr.CompileCondition(code, scope)
		return err
	})
}

// expression reads an expression of any value.
func (r *reader) expression(n *node, scope expr.Scope, example string) string {
	return r.compile(n, example, func(code string) error {
		_, err := expr.Compile(code, scope)
		return err
	})
}

func (r *reader) compile(n *node, example string, compile func(code string) error) string {
	code := r.code(n, example)
	if code == "" {
		return ""
	}
	if err := compile(code); err != nil {
		r.wrongCode(n, err)
	}
	return code
}

// template compiles a text with ${…}. It returns nil where that is not
// possible, which it has then reported.
func (r *reader) template(n *node, scope expr.Scope) *expr.Template {
	t, err := expr.CompileTemplate(n.text, scope)
	if err != nil {
		r.wrongCode(n, err)
		return nil
	}
	return t
}

// wrongCode reports what does not compile, at its place in the file.
func (r *reader) wrongCode(n *node, err error) {
	at, message := *n, err.Error()
	if e, ok := errors.AsType[*expr.CompileError](err); ok {
		message = e.Message
		at.line, at.column = r.within(n, e.Line, e.Column)
	}
	if e, ok := errors.AsType[*timex.SyntaxError](err); ok {
		before := n.text[:min(e.Offset, len(n.text))]
		line := strings.LastIndexByte(before, '\n') + 1
		message = e.Message
		at.line, at.column = r.within(n, strings.Count(before, "\n")+1, utf8.RuneCountInString(before[line:])+1)
	}
	hint := ""
	if !n.quoted && strings.Contains(string(r.line(at.line)), " #") {
		hint = `what follows " #" is a comment: quote the text`
	}
	r.fail(&at, hint, "%s", message)
}

// within returns the place in the file of a place in a scalar's text. Where
// escapes or folded lines hide it, that is the scalar's own.
func (r *reader) within(n *node, line, column int) (int, int) {
	lines := strings.Split(n.text, "\n")
	if line < 1 || line > len(lines) {
		return n.line, n.column
	}
	there, from := n.line+line-1, 0
	if n.block {
		there++
	} else if line == 1 {
		from = n.column - 1
	}
	before, _, found := strings.Cut(string(r.rest(there, from+1)), lines[line-1])
	if !found {
		return n.line, n.column
	}
	return there, max(from, 0) + utf8.RuneCountInString(before) + column
}
