package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// The budgets. A change that meets one has something to split.
const (
	maxFileLines    = 600
	maxTestLines    = 1000
	maxFuncLines    = 80
	maxPackageFiles = 12
	minPackageFiles = 2
	maxPackageLines = 2500
	maxRootLines    = 1500
	maxParams       = 4 // besides a context
	maxMethods      = 7
)

// checkSizes reports files and packages over their budget.
func checkSizes(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		lines, limit := 0, maxPackageLines
		if p.Path == "." {
			limit = maxRootLines
		}
		for _, f := range p.Files {
			allowed := maxFileLines
			if f.Test {
				allowed = maxTestLines
			}
			if f.Lines > allowed && !f.Generated {
				out = append(out, Finding{"file", f.Path, 0, fmt.Sprintf("%d lines, %d at most", f.Lines, allowed)})
			}
		}
		for _, f := range p.code() {
			lines += f.Lines
		}
		room, files := find(p.Path), len(p.code())
		if room != nil && room.layer == layerLoose {
			continue
		}
		if lines > limit {
			out = append(out, Finding{"package", p.Path, 0, fmt.Sprintf("%d lines, %d at most", lines, limit)})
		}
		if files > maxPackageFiles {
			out = append(out, Finding{"package", p.Path, 0, fmt.Sprintf("%d files, %d at most", files, maxPackageFiles)})
		}
		if files < minPackageFiles && room != nil && room.one == "" {
			out = append(out, Finding{"package", p.Path, 0, "one file: a room is made when its second file comes"})
		}
	}
	return out
}

// checkShapes reports functions and interfaces over their budget, and
// exemptions that have no reason or no need.
func checkShapes(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		room := find(p.Path)
		loose := room != nil && room.layer == layerLoose
		for _, f := range p.Files {
			if f.Generated || loose {
				continue
			}
			s := shapes{repo: r, file: f, pkg: p, used: map[*ast.Comment]bool{}}
			s.check()
			out = append(out, s.found...)
		}
	}
	return out
}

// shapes looks at the declarations of one file.
type shapes struct {
	repo  *Repo
	file  *File
	pkg   *Package
	used  map[*ast.Comment]bool // exemptions that were needed
	found []Finding
}

func (s *shapes) check() {
	for _, decl := range s.file.AST.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			s.function(d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				s.iface(spec)
			}
		}
	}
	for _, group := range s.file.AST.Comments {
		for _, c := range group.List {
			name, _, ok := exemption(c)
			if ok && !s.used[c] {
				text := "archtest:" + name + " exempts nothing here"
				s.found = append(s.found, Finding{"exemption", s.file.Path, s.repo.line(c.Pos()), text})
			}
		}
	}
}

func (s *shapes) function(d *ast.FuncDecl) {
	line := s.repo.line(d.Pos())
	if n := s.repo.line(d.End()) - line + 1; n > maxFuncLines {
		s.report("long", line, fmt.Sprintf("%s has %d lines, %d at most", d.Name.Name, n, maxFuncLines))
	}
	if s.file.Test {
		return
	}
	params, flags := 0, 0
	for _, field := range d.Type.Params.List {
		n := max(1, len(field.Names))
		switch typeName(field.Type) {
		case "context.Context":
		case "bool":
			flags += n
			params += n
		default:
			params += n
		}
	}
	if params > maxParams {
		text := fmt.Sprintf("%s has %d parameters, a context and %d at most", d.Name.Name, params, maxParams)
		s.report("params", line, text)
	}
	if flags > 0 && d.Name.IsExported() {
		s.report("bool", line, d.Name.Name+" has a bool parameter: two functions, or a named type")
	}
}

func (s *shapes) iface(spec ast.Spec) {
	t, ok := spec.(*ast.TypeSpec)
	if !ok {
		return
	}
	i, ok := t.Type.(*ast.InterfaceType)
	if !ok {
		return
	}
	if n := s.methods(i); n > maxMethods {
		text := fmt.Sprintf("interface %s has %d methods, %d at most", t.Name.Name, n, maxMethods)
		s.report("wide", s.repo.line(t.Pos()), text)
	}
}

// methods counts the methods of an interface, with those of interfaces of the same package that it embeds.
func (s *shapes) methods(i *ast.InterfaceType) int {
	n := 0
	for _, m := range i.Methods.List {
		if len(m.Names) > 0 {
			n += len(m.Names)
			continue
		}
		embedded := s.pkg.iface(typeName(m.Type))
		if embedded == nil {
			n++
			continue
		}
		n += s.methods(embedded)
	}
	return n
}

// iface finds an interface of the package by name.
func (p *Package) iface(name string) *ast.InterfaceType {
	for _, f := range p.Files {
		for _, decl := range f.AST.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range d.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok || t.Name.Name != name {
					continue
				}
				if i, ok := t.Type.(*ast.InterfaceType); ok {
					return i
				}
			}
		}
	}
	return nil
}

// report adds a finding, unless a comment that ends on the line above exempts the declaration.
func (s *shapes) report(rule string, line int, text string) {
	for _, group := range s.file.AST.Comments {
		if s.repo.line(group.End()) != line-1 {
			continue
		}
		for _, c := range group.List {
			name, reason, ok := exemption(c)
			if !ok || name != rule {
				continue
			}
			s.used[c] = true
			if len(reason) < len("a reason") {
				s.found = append(s.found, Finding{"exemption", s.file.Path, line, "archtest:" + rule + " needs a reason"})
			}
			return
		}
	}
	s.found = append(s.found, Finding{rule, s.file.Path, line, text})
}

// exemption reads `// archtest:NAME reason` from a comment of one line.
func exemption(c *ast.Comment) (name, reason string, ok bool) {
	text, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(c.Text, "//")), "archtest:")
	if !ok {
		return "", "", false
	}
	name, reason, _ = strings.Cut(text, " ")
	return name, strings.TrimSpace(reason), slices.Contains([]string{"long", "params", "bool", "wide"}, name)
}

// typeName prints a plain or qualified type name, and "" for any other type.
func typeName(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.SelectorExpr:
		if x, ok := t.X.(*ast.Ident); ok {
			return x.Name + "." + t.Sel.Name
		}
	}
	return ""
}
