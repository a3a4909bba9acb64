package fold

import (
	"weir"
)

// Turn folds the planned records and returns the runs that it made or changed,
// in order, valid until the next Turn; one that changed twice is there twice,
// with its last state.
func (f *Fold) Turn() []Touch {
	f.touched = f.touched[:0]
	matched, missed := 0, 0
	for i := range f.planned {
		p := &f.planned[i]
		f.endDue(p.rec)
		switch rec := p.rec; {
		case rec.Event != nil:
			for ; matched < p.matched; matched++ {
				f.take(rec, &f.matches.Matches[matched])
			}
			for ; missed < p.missed; missed++ {
				f.countMiss(rec.Project, &f.matches.Misses[missed])
			}
			f.follow(rec)
			f.endDue(rec)
		case rec.Change != nil:
			f.change(rec)
		case rec.Apply != nil:
			cut := f.cut(rec)
			f.apply(rec)
			f.endCut(rec, cut)
			f.endDue(rec)
		}
		f.cursor, f.at = p.rec.Seq, p.rec.At
	}
	f.planned = f.planned[:0]
	if f.endedRuns > manyEnded && 2*f.endedRuns > len(f.dirtyRuns) {
		f.sweepRuns()
	}
	return f.touched
}

// apply installs and never judges: what cannot be compiled, because a newer
// version of Weir ordered it, is counted and matches nothing.
func (f *Fold) apply(rec *weir.Record) {
	install := func(d weir.Definition, body []byte) {
		d.Revision, d.Body = rec.Apply.Revision, body
		in := Installed{Project: rec.Project, Definition: d}
		f.installed = append(f.installed, in)
		if !f.install(in) {
			f.count(rec.Project, d.Name, "not understood")
		}
	}
	for _, d := range rec.Apply.Delete {
		install(d, nil)
	}
	for _, d := range rec.Apply.Put {
		install(d, d.Body)
	}
}

// install puts a version in force, or takes the name out of force where it
// cannot be read.
func (f *Fold) install(in Installed) bool {
	s := f.scope(in.Project)
	if err := s.install(in); err != nil {
		s.remove(in.Kind, in.Name)
		return false
	}
	return true
}

func (f *Fold) touch(r *liveRun, kind weir.ChangeKind, verdict weir.Verdict) {
	if r.epoch != f.epoch {
		r.epoch = f.epoch
		f.dirtyRuns = append(f.dirtyRuns, r)
	}
	run := r.run
	if r.gone {
		run = nil
	}
	f.touched = append(f.touched, Touch{r.id, run, kind, verdict})
}
