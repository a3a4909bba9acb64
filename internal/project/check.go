package project

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"weir/internal/expr"
	"weir/internal/project/yaml"
	"weir/internal/timex"
)

// condition reads an expression that is true or false.
func (r *reader) condition(n *yaml.Node, scope expr.Scope, example string) string {
	return r.compile(n, example, func(code string) error {
		_, err := expr.CompileCondition(code, scope)
		return err
	})
}

// expression reads an expression of any value.
func (r *reader) expression(n *yaml.Node, scope expr.Scope, example string) string {
	return r.compile(n, example, func(code string) error {
		_, err := expr.Compile(code, scope)
		return err
	})
}

func (r *reader) compile(n *yaml.Node, example string, compile func(code string) error) string {
	code := r.Code(n, example)
	if code == "" || r.spent(n) {
		return ""
	}
	if err := compile(code); err != nil {
		r.wrongCode(n, err)
	}
	return code
}

// template compiles a text with ${…}. It returns nil where that is not
// possible, which it has then reported.
func (r *reader) template(n *yaml.Node, scope expr.Scope) *expr.Template {
	if r.spent(n) {
		return nil
	}
	t, err := expr.CompileTemplate(n.Text, scope)
	if err != nil {
		r.wrongCode(n, err)
		return nil
	}
	return t
}

// spent counts an expression and reports whether there are too many: compiling
// one costs about as much as reading a kilobyte.
func (r *reader) spent(n *yaml.Node) bool {
	r.set.expressions++
	if r.set.expressions == maxExpressions+1 {
		r.Fail(n, "", "more than %d expressions", maxExpressions)
	}
	return r.set.expressions > maxExpressions
}

// templates reads a value as JSON and checks the strings inside of it.
func (r *reader) templates(n *yaml.Node, check func(text *yaml.Node)) json.RawMessage {
	var compile func(n *yaml.Node)
	compile = func(n *yaml.Node) {
		for _, item := range n.Items {
			compile(item)
		}
		for _, f := range n.Fields {
			compile(f.Value)
		}
		if n.IsText() {
			check(n)
		}
	}
	compile(n)
	return r.JSON(n)
}

// wrongCode reports what does not compile, at its place in the file.
func (r *reader) wrongCode(n *yaml.Node, err error) {
	at, message := *n, err.Error()
	if e, ok := errors.AsType[*expr.CompileError](err); ok {
		message = e.Message
		at.Line, at.Column = r.within(n, e.Line, e.Column)
	}
	if e, ok := errors.AsType[*timex.SyntaxError](err); ok {
		before := n.Text[:min(e.Offset, len(n.Text))]
		line := strings.LastIndexByte(before, '\n') + 1
		message = e.Message
		at.Line, at.Column = r.within(n, strings.Count(before, "\n")+1, utf8.RuneCountInString(before[line:])+1)
	}
	hint := operatorHint(message)
	if !n.Quoted && strings.Contains(string(r.Line(at.Line)), " #") {
		hint = `what follows " #" is a comment: quote the text`
	}
	r.Fail(&at, hint, "%s", message)
}

// operatorHint says how CEL writes an operator of other languages.
func operatorHint(message string) string {
	what, _ := strings.CutSuffix(message, " does not belong here")
	switch strings.Trim(what, "' ") {
	case "=":
		return "to compare is =="
	case "and":
		return "and is &&"
	case "or":
		return "or is ||"
	}
	return ""
}

// within returns the place in the file of a place in a scalar's text. Where
// escapes or folded lines hide it, that is the scalar's own.
func (r *reader) within(n *yaml.Node, line, column int) (int, int) {
	lines := strings.Split(n.Text, "\n")
	if line < 1 || line > len(lines) {
		return n.Line, n.Column
	}
	there, from := n.Line+line-1, 0
	if n.Block {
		there++
	} else if line == 1 {
		from = n.Column - 1
	}
	before, _, found := strings.Cut(string(r.Rest(there, from+1)), lines[line-1])
	if !found {
		return n.Line, n.Column
	}
	return there, max(from, 0) + utf8.RuneCountInString(before) + column
}
