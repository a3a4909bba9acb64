package expr

import (
	"slices"
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// access is a look into a variable or value: data.user, header["x-id"],
// items[0].
type access struct {
	name string   // as for people
	path []string // from a variable by literal names; nil where it is anything else
}

// missing names the first part of the access that is not there.
func (a access) missing(v *Vars) string {
	for n := 2; n < len(a.path); n++ {
		if _, ok := v.Lookup(a.path[:n]); !ok {
			return pathName(a.path[:n])
		}
	}
	return a.name
}

// Lookup follows literal names from a variable.
func (v *Vars) Lookup(path []string) (ref.Val, bool) {
	root, ok := v.ResolveName(path[0])
	if !ok {
		return nil, false
	}
	at := root.(ref.Val)
	for _, name := range path[1:] {
		m, ok := at.(*mapping)
		if !ok {
			return nil, false
		}
		if at, ok = m.fields.find(name); !ok {
			return nil, false
		}
	}
	return at, true
}

// accesses finds every access of an expression, by its node's id.
func accesses(root ast.Expr) map[int64]access {
	out := map[int64]access{}
	bound := map[string]bool{} // variables of comprehensions
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			c := e.AsComprehension()
			bound[c.IterVar()], bound[c.IterVar2()], bound[c.AccuVar()] = true, true, true
		}
		if e.Kind() == ast.SelectKind || isIndex(e) {
			path := pathOf(e)
			if len(path) > 0 && bound[path[0]] {
				path = nil
			}
			out[e.ID()] = access{name: nameOf(e), path: path}
		}
	}))
	return out
}

func isIndex(e ast.Expr) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index
}

// pathOf returns a variable and the literal names after it, or nil.
func pathOf(e ast.Expr) []string {
	if e.Kind() == ast.IdentKind {
		return []string{e.AsIdent()}
	}
	operand, step, ok := lastStep(e)
	if !ok {
		return nil
	}
	before := pathOf(operand)
	if before == nil {
		return nil
	}
	return append(before, step)
}

// lastStep splits x.name and x["name"].
func lastStep(e ast.Expr) (operand ast.Expr, name string, ok bool) {
	if e.Kind() == ast.SelectKind {
		return e.AsSelect().Operand(), e.AsSelect().FieldName(), true
	}
	if !isIndex(e) {
		return nil, "", false
	}
	args := e.AsCall().Args()
	if args[1].Kind() != ast.LiteralKind {
		return nil, "", false
	}
	s, ok := args[1].AsLiteral().(types.String)
	return args[0], string(s), ok
}

// nameOf prints an access for people. What is computed is shown as "…".
func nameOf(e ast.Expr) string {
	switch {
	case e.Kind() == ast.IdentKind:
		return e.AsIdent()
	case e.Kind() == ast.SelectKind:
		return nameOf(e.AsSelect().Operand()) + step(e.AsSelect().FieldName())
	case isIndex(e):
		args := e.AsCall().Args()
		base := nameOf(args[0])
		if args[1].Kind() != ast.LiteralKind {
			return base + "[…]"
		}
		switch i := args[1].AsLiteral().(type) {
		case types.String:
			return base + step(string(i))
		case types.Int:
			return base + "[" + strconv.FormatInt(int64(i), 10) + "]"
		}
		return base + "[…]"
	}
	return "…"
}

func step(name string) string {
	if isWord(name) {
		return "." + name
	}
	return "[" + strconv.Quote(name) + "]"
}

func pathName(path []string) string {
	name := path[0]
	for _, s := range path[1:] {
		name += step(s)
	}
	return name
}

// idents returns all names that the expression reads.
func idents(root ast.Expr) map[string]bool {
	out := map[string]bool{}
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			out[e.AsIdent()] = true
		}
	}))
	return out
}

// secretNames returns the secrets that an expression uses. Each must be named
// in full, so that they can be listed and checked before anything runs.
func secretNames(source string, a *ast.AST) ([]string, error) {
	var names []string
	named := map[int64]bool{}
	var bare ast.Expr
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if operand, name, ok := lastStep(e); ok && operand.Kind() == ast.IdentKind && operand.AsIdent() == "secret" {
			named[operand.ID()] = true
			names = append(names, name)
		}
		if e.Kind() == ast.IdentKind && e.AsIdent() == "secret" && !named[e.ID()] {
			bare = e
		}
	}))
	if bare != nil {
		at := a.SourceInfo().GetStartLocation(bare.ID())
		return nil, compileError(source, at.Line(), at.Column(), "name the secret: secret.NAME")
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// equality says that an expression can only hold where what path, a variable and
// names, leads to equals value.
type equality struct {
	path  []string
	value constant
}

// equalities finds the comparisons with a constant among the parts of a
// condition that all must hold.
func equalities(e ast.Expr) []equality {
	if e.Kind() != ast.CallKind {
		return nil
	}
	call := e.AsCall()
	switch call.FunctionName() {
	case operators.LogicalAnd:
		var out []equality
		for _, arg := range call.Args() {
			out = append(out, equalities(arg)...)
		}
		return out
	case operators.Equals:
		args := call.Args()
		if eq, ok := equalityOf(args[0], args[1]); ok {
			return []equality{eq}
		}
		if eq, ok := equalityOf(args[1], args[0]); ok {
			return []equality{eq}
		}
	}
	return nil
}

func equalityOf(where, what ast.Expr) (eq equality, ok bool) {
	if what.Kind() != ast.LiteralKind || where.Kind() == ast.SelectKind && where.AsSelect().IsTestOnly() {
		return eq, false
	}
	eq.path = pathOf(where)
	eq.value, ok = constantOf(what.AsLiteral())
	return eq, ok && len(eq.path) > 1
}
