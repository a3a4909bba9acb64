package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// checkRooms reports packages without a line in the table and names that are not used.
func checkRooms(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		if find(p.Path) == nil {
			out = append(out, Finding{Rule: "room", Path: p.Path, Text: "unknown package: " +
				"add it with its layer to the table in internal/archtest/rooms.go"})
		}
		if p.Path == "." {
			continue
		}
		if slices.Contains(refused, path.Base(p.Path)) {
			out = append(out, Finding{Rule: "name", Path: p.Path, Text: "name the package for what it does"})
		}
		for _, f := range p.Files {
			name := strings.TrimSuffix(f.AST.Name.Name, "_test")
			if name != "main" && name != path.Base(p.Path) {
				out = append(out, Finding{"name", f.Path, 0, "package " + name + " is not named as its folder"})
			}
		}
	}
	return out
}

// checkImports reports imports that the table of rooms does not allow.
func checkImports(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		from := find(p.Path)
		if from == nil || from.layer == layerLoose {
			continue
		}
		for _, f := range p.Files {
			for _, spec := range f.AST.Imports {
				if text := judge(p.Path, from, f, spec); text != "" {
					out = append(out, Finding{"import", f.Path, r.line(spec.Pos()), text})
				}
			}
		}
	}
	return out
}

// judge says why file f of package pkg may not have an import, or "".
func judge(pkg string, from *room, f *File, spec *ast.ImportSpec) string {
	name := strings.Trim(spec.Path.Value, `"`)
	to, ours := ownPackage(name)
	switch {
	case ours && f.Test:
		return judgeTest(pkg, from, to)
	case ours:
		return judgeOwn(pkg, from, to)
	case f.Test:
		return ""
	case spec.Name != nil && spec.Name.Name == "_" && !slices.Contains(blank, name) && from.layer != layerMain:
		return fmt.Sprintf("blank import of %s: nothing registers itself, app passes it in", name)
	case from.layer == layerRoot && strings.Contains(strings.Split(name, "/")[0], "."):
		return fmt.Sprintf("the root imports the standard library only, not %s", name)
	case from.layer == layerPure && slices.Contains(impure, name):
		return fmt.Sprintf("a pure room has no clock, chance, log or I/O, so no %s", name)
	case name == "testing" && from.layer != layerSuite:
		return "testing is for tests and suites"
	}
	for module, rooms := range homes {
		if strings.HasPrefix(name, module) && !slices.Contains(rooms, pkg) {
			return fmt.Sprintf("%s is known to %v only", name, rooms)
		}
	}
	return ""
}

// blank are the packages that may be imported for their effect alone.
var blank = []string{"embed", "modernc.org/sqlite", "time/tzdata"}

// ownPackage returns the path of an import relative to the module, if it is of this module.
func ownPackage(name string) (string, bool) {
	if name == Module {
		return ".", true
	}
	return strings.CutPrefix(name, Module+"/")
}

// judgeOwn judges an import of one package of the module by another.
func judgeOwn(pkg string, from *room, to string) string {
	target := find(to)
	if target == nil {
		return fmt.Sprintf("imports %s, which is not in the table of rooms", to)
	}
	listed := func(list []string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return fits(p, to) })
	}
	switch {
	case listed(from.never):
		return fmt.Sprintf("%s does not import %s", pkg, to)
	case target.layer == layerSuite && from.layer != layerSuite:
		return fmt.Sprintf("%s is for tests", to)
	case listed(from.also), slices.Contains(may[from.layer], target.layer):
		return ""
	case from.layer == layerPure && target.layer == layerPure && rank(to) < rank(pkg):
		return ""
	case from.layer == layerPure && target.layer == layerPure:
		return fmt.Sprintf("pure rooms import downwards: %s stands below %s", pkg, to)
	}
	return fmt.Sprintf("%s (%s) does not import %s (%s)", pkg, from.layer, to, target.layer)
}

// judgeTest judges an import by a test: loops are tested on real stores, so
// only what stands on top of everything is out of reach.
func judgeTest(pkg string, from *room, to string) string {
	target := find(to)
	top := []layer{layerApp, layerCLI, layerMain}
	if target == nil || pkg == to || slices.Contains(top, from.layer) || !slices.Contains(top, target.layer) {
		return ""
	}
	return fmt.Sprintf("tests of %s do not import %s: test the whole program in e2e", pkg, to)
}

// rank is the place of a package in the table.
func rank(pkg string) int {
	return slices.IndexFunc(rooms, func(r room) bool { return fits(r.path, pkg) })
}
