package expr

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

// CompileError says where and why an expression or template does not compile.
type CompileError struct {
	Offset  int    // bytes before the place, in the text that was compiled
	Line    int    // from 1
	Column  int    // from 1, in characters
	Text    string // the offending text, "" at the end of the source
	Message string // what is wrong, with the nearest known name where there is one
}

// Error returns "LINE:COLUMN: message".
func (e *CompileError) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

// check parses and type-checks a source. The first thing wrong is the error.
func check(source string, scope Scope) (*cel.Env, *cel.Ast, error) {
	env, err := scope.env()
	if err != nil {
		return nil, nil, fmt.Errorf("make environment: %w", err)
	}
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, nil, firstIssue(source, issues, nil)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, nil, firstIssue(source, issues, func(id int64) string {
			return unknownName(env, scope, find(parsed.NativeRep().Expr(), id))
		})
	}
	return env, checked, nil
}

// firstIssue makes the error of the first issue; better may know more about the
// node than CEL says.
func firstIssue(source string, issues *cel.Issues, better func(id int64) string) error {
	first := issues.Errors()[0]
	message, isSyntax := strings.CutPrefix(first.Message, "Syntax error: ")
	if isSyntax {
		message = syntaxError(message)
	}
	if better != nil {
		if m := better(first.ExprID); m != "" {
			message = m
		}
	}
	return compileError(source, first.Location.Line(), first.Location.Column(), message)
}

// syntaxError says in plain words what CEL's parser says in its own.
func syntaxError(message string) string {
	message, _, _ = strings.Cut(message, " expecting ")
	if strings.Contains(message, "<EOF>") {
		return "the expression ends too early"
	}
	for _, words := range []string{"mismatched input ", "extraneous input ", "no viable alternative at input ", "token recognition error at: "} {
		if what, ok := strings.CutPrefix(message, words); ok {
			return what + " does not belong here"
		}
	}
	return message
}

// unknownName says that a name or function is not known, and which is nearest.
// It returns "" where that is not what is wrong with the node.
func unknownName(env *cel.Env, scope Scope, node ast.Expr) string {
	if node == nil {
		return ""
	}
	switch node.Kind() {
	case ast.IdentKind:
		name, known := node.AsIdent(), scope.Names()
		if slices.Contains(known, name) {
			return ""
		}
		if scope.elsewhere(name) {
			return fmt.Sprintf("%s is not known here: this expression sees %s", name, strings.Join(known, ", "))
		}
		return "unknown name " + name + didYouMean(name, known)
	case ast.CallKind:
		name, known := node.AsCall().FunctionName(), env.Functions()
		if known[name] != nil || !isWord(name) {
			return ""
		}
		var names []string
		for n := range known {
			if isWord(n) {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		return "unknown function " + name + didYouMean(name, names)
	default:
	}
	return ""
}

func didYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// Nearest returns the name that was most likely meant, or "" where none is
// near: at most a third of the letters differ.
func Nearest(name string, known []string) string {
	best, least := "", len(name)/3+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to add, drop or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := diagonal
			if a[i] != b[j] {
				next = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// compileError places a message. Line counts from 1, column from 0 in
// characters, as CEL does.
func compileError(source string, line, column int, message string) *CompileError {
	offset := 0
	for range line - 1 {
		offset += strings.IndexByte(source[offset:], '\n') + 1
	}
	for range column {
		_, size := utf8.DecodeRuneInString(source[offset:])
		offset += size
	}
	return &CompileError{
		Offset: offset, Line: max(line, 1), Column: column + 1, Text: wordAt(source[offset:]), Message: message,
	}
}

// wordAt returns the word or character that s begins with.
func wordAt(s string) string {
	n := 0
	for n < len(s) && isWord(s[:n+1]) {
		n++
	}
	if n == 0 && s != "" {
		_, n = utf8.DecodeRuneInString(s)
	}
	return s[:n]
}

// in moves an error found in a part of a text to its place in the whole.
func (e *CompileError) in(whole string, from int) *CompileError {
	offset := from + e.Offset
	before := whole[:offset]
	line := strings.Count(before, "\n")
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return &CompileError{Offset: offset, Line: line + 1, Column: column + 1, Text: e.Text, Message: e.Message}
}

// find returns the node with an id, or nil.
func find(root ast.Expr, id int64) ast.Expr {
	var found ast.Expr
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id {
			found = e
		}
	}))
	return found
}
