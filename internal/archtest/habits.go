package archtest

import (
	"go/ast"
	"strings"
)

// sleepers are the files outside tests that may call time.Sleep, with the reason.
var sleepers = map[string]string{}

// clocks are the functions of package time that a pure room does not call.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}

// checkHabits reports sleeping outside of synctest bubbles, init functions,
// and pure rooms that look at the clock.
func checkHabits(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		room := find(p.Path)
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			out = append(out, sleeps(r, room, f)...)
			out = append(out, inits(r, f)...)
			if room == nil || room.layer != layerPure || f.Test {
				continue
			}
			for _, name := range clocks {
				for _, pos := range f.calls("time", name) {
					out = append(out, Finding{"clock", f.Path, r.line(pos), "a pure room is told the time, it does not ask"})
				}
			}
		}
	}
	return out
}

// sleeps reports time.Sleep where no bubble's fake clock makes it exact.
func sleeps(r *Repo, room *room, f *File) []Finding {
	test := f.Test || room != nil && room.layer == layerSuite
	bubble := len(f.calls("testing/synctest", "Test")) > 0
	if sleepers[f.Path] != "" || test && bubble {
		return nil
	}
	text := "time.Sleep: wait for the event itself, with a timer and the context"
	if test {
		text = "time.Sleep outside of a synctest bubble"
	}
	var out []Finding
	for _, pos := range f.calls("time", "Sleep") {
		out = append(out, Finding{"sleep", f.Path, r.line(pos), text})
	}
	return out
}

// inits reports init functions: what a package needs is passed in by app.
func inits(r *Repo, f *File) []Finding {
	var out []Finding
	for _, decl := range f.AST.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if ok && d.Recv == nil && d.Name.Name == "init" {
			out = append(out, Finding{"init", f.Path, r.line(d.Pos()), "no init functions: app passes it in"})
		}
	}
	return out
}

// unused reports entries of a list of exceptions whose file does not need one.
func unused(r *Repo, list map[string]string) []Finding {
	needed := map[string]bool{}
	for _, p := range r.packages {
		for _, f := range p.Files {
			needed[f.Path] = len(f.calls("time", "Sleep")) > 0
		}
	}
	var out []Finding
	for name, reason := range list {
		if !needed[name] || strings.TrimSpace(reason) == "" {
			out = append(out, Finding{"exemption", name, 0, "is allowed to sleep without need or reason"})
		}
	}
	return out
}
