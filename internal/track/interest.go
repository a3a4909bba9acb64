package track

import (
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/client"
	"weir/internal/expr"
)

// kinds of stream items.
type kinds uint8

const (
	kindEvent kinds = 1 << iota
	kindRun
	kindGroup
)

// interest is what a follower asks for, read. Followers with equal interests
// share a feed.
type interest struct {
	kinds     kinds
	types     string
	source    string
	pipeline  string
	trigger   string
	run       weir.RunID
	execution string
}

// parseInterest reads a filter, with its globs of types, which are nil where it
// names none.
func parseInterest(f client.StreamFilter) (w interest, globs *expr.Globs, err error) {
	w = interest{types: f.Type, source: f.Source, pipeline: f.Pipeline, trigger: f.Trigger, execution: f.Execution}
	if w.kinds, err = parseKinds(f.Kinds); err != nil {
		return w, nil, err
	}
	if f.Run != "" {
		if w.run, err = weir.ParseRunID(f.Run); err != nil {
			return w, nil, weir.E("", weir.Invalid, "%w", err).WithField("run")
		}
	}
	globs, err = ParseTypes(f.Type)
	return w, globs, err
}

func parseKinds(text string) (all kinds, err error) {
	if text == "" {
		return kindEvent | kindRun | kindGroup, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		switch name {
		case "event":
			all |= kindEvent
		case "run":
			all |= kindRun
		case "group":
			all |= kindGroup
		default:
			return 0, weir.E("", weir.Invalid, "%s is no kind of item: use event, run or group", strconv.Quote(name)).WithField("kinds")
		}
	}
	return all, nil
}

// ParseTypes reads globs of types with commas between, or nil where there are
// none.
func ParseTypes(text string) (*expr.Globs, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no globs take every type
	}
	globs, err := expr.CompileGlobs(strings.Split(text, ","))
	if err != nil {
		return nil, weir.E("", weir.Invalid, "%w", err).WithField("type")
	}
	return globs, nil
}

// may reports whether a record may be of interest. It says no where it is not,
// and yes to a change whose execution only the run's first change tells.
func (w *interest) may(globs *expr.Globs, rec *weir.Record) bool {
	switch {
	case rec.Event != nil:
		return w.kinds&kindEvent != 0 && w.mayEvent(globs, rec.Event)
	case rec.Change != nil:
		return w.kinds&(kindRun|kindGroup) != 0 && w.mayChange(rec.Change)
	}
	return false
}

func (w *interest) mayEvent(globs *expr.Globs, e *weir.Event) bool {
	return w.pipeline == "" && w.trigger == "" &&
		(w.source == "" || w.source == e.Source) &&
		(w.execution == "" || w.execution == e.Execution) &&
		(w.run.IsZero() || w.run == e.Cause) &&
		(globs == nil || globs.Match(e.Type))
}

func (w *interest) mayChange(c *weir.Change) bool {
	if c.Kind == weir.Stale || w.kinds&kindRun == 0 && !endsGroup(c) {
		return false
	}
	return w.types == "" && w.source == "" &&
		(w.run.IsZero() || w.run == c.Run) &&
		(w.trigger == "" || w.trigger == c.Trigger) &&
		(w.pipeline == "" || w.pipeline == c.Pipeline) &&
		(w.execution == "" || c.Firing == nil || slices.Contains(c.Firing.Executions, w.execution))
}

// endsGroup reports whether a change is the first of a run that a group made,
// which tells how the group ended.
func endsGroup(c *weir.Change) bool { return c.Firing != nil && !c.Firing.Group.IsZero() }

// place is where a stream stands: it has read up to after and, of the record
// behind it, the first items.
type place struct {
	now   bool // at the end, wherever that is
	after weir.Seq
	items int
}

// String returns "SEQ", or "SEQ.ITEMS" in the middle of a record.
func (p place) String() string {
	if p.items == 0 {
		return seqText(p.after)
	}
	return seqText(p.after+1) + "." + strconv.Itoa(p.items)
}

func parsePlace(text string) (place, error) {
	if text == "" {
		return place{now: true}, nil
	}
	seq, items, inside := strings.Cut(text, ".")
	n, err := strconv.ParseUint(seq, 10, 63)
	p := place{after: weir.Seq(n)}
	if err == nil && inside {
		if p.items, err = strconv.Atoi(items); p.items <= 0 || n == 0 {
			return p, badPlace(text)
		}
		p.after--
	}
	if err != nil {
		return p, badPlace(text)
	}
	return p, nil
}

func badPlace(text string) error {
	return weir.E("", weir.Invalid, "%s is no place that a stream gave", strconv.Quote(text)).WithField("after")
}
