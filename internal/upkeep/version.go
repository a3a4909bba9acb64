package upkeep

import (
	"strings"

	"weir"
)

// Version is one version of a definition, without its body.
type Version struct {
	Project  weir.ProjectID
	Kind     weir.DefinitionKind
	Name     string
	Revision uint64
	Deletes  bool // it takes the name out of force
}

// name is what versions are of.
type name struct {
	project weir.ProjectID
	kind    weir.DefinitionKind
	name    string
}

func (v *Version) of() name { return name{v.Project, v.Kind, v.Name} }

// name notes that something live names a version.
func (n *needed) name(of name, revision uint64) {
	if of.name == "" || revision == 0 {
		return
	}
	if oldest, ok := n.named[of]; !ok || revision < oldest {
		n.named[of] = revision
	}
}

// outdated returns, for each name that has such, the version before which all are
// outdated. all are in order; named are the oldest that something live names.
//
// The newest version of a name stays, and what came after the oldest one that is
// named. The steps that stand in a trigger are a pipeline named after it, applied
// with it or before: of these stays also what was in force with the oldest version
// of the trigger that stays. Of a name that is out of force and that nothing names
// nothing stays.
func outdated(all []Version, named map[name]uint64) []Version {
	from := map[name]uint64{} // the oldest that stays
	for i := range all {
		from[all[i].of()] = all[i].Revision // the last is the newest
	}
	for of, revision := range named {
		if newest, ok := from[of]; ok {
			from[of] = min(newest, revision)
		}
	}
	inForce := map[name]uint64{} // of the steps of triggers: the one with the oldest version of the trigger that stays
	for i := range all {
		v := &all[i]
		trigger, _, inline := strings.Cut(v.Name, ".")
		if !inline || v.Kind != weir.KindPipeline {
			continue
		}
		if r, ok := from[name{v.Project, weir.KindTrigger, trigger}]; ok && v.Revision <= r {
			inForce[v.of()] = v.Revision
		}
	}
	for of, revision := range inForce {
		from[of] = min(from[of], revision)
	}
	var old []Version
	for i := range all {
		v := &all[i]
		isLast := i+1 == len(all) || all[i+1].of() != v.of()
		_, isNamed := named[v.of()]
		switch {
		case isLast && v.Deletes && !isNamed && from[v.of()] == v.Revision:
			old = append(old, Version{Project: v.Project, Kind: v.Kind, Name: v.Name, Revision: v.Revision + 1})
		case isLast && hasOlder(all[:i], v.of(), from[v.of()]):
			old = append(old, Version{Project: v.Project, Kind: v.Kind, Name: v.Name, Revision: from[v.of()]})
		}
	}
	return old
}

// hasOlder reports whether the versions that end all have one of a name before a
// revision.
func hasOlder(all []Version, of name, revision uint64) bool {
	for i := len(all) - 1; i >= 0 && all[i].of() == of; i-- {
		if all[i].Revision < revision {
			return true
		}
	}
	return false
}
