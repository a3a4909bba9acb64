package work

import (
	"context"
	"encoding/json"
	"fmt"

	"weir"
	"weir/internal/step"
)

// each does a step once for each event, in order, as one act: it goes on after
// the events that had their effect in a try before, and what it answers holds
// also where it had to stop. The place is that of the last event that had its
// effect, in the run's batch.
func (l *Loop) each(ctx context.Context, t *try, s *compiled, in *step.Input) (out step.Outcome, acted int, err error) {
	prior := t.partOf(in.Index)
	sum := newTally(&prior, in)
	acted = prior.Acted
	one := *in
	for i, rec := range in.Events {
		one.Place, one.Events = t.place(rec), in.Events[i:i+1:i+1]
		if one.Place <= prior.Acted {
			sum.skip()
			continue
		}
		var done step.Outcome
		done, err = l.once(ctx, t, s, &one)
		if err == nil && done.Failure == nil {
			done.Failure = sum.add(&done, s.replaces)
		}
		if done.Detail != "" {
			sum.last = "; " + done.Detail
		}
		if err != nil || done.Failure != nil {
			out.Failure = done.Failure
			break
		}
		acted = one.Place
	}
	if out.Failure != nil {
		out.Failure.Message = fmt.Sprintf("event %d of %d: %s", sum.done+1, len(in.Events), out.Failure.Message)
	}
	out.Output, out.Emitted, out.Detail = sum.output(), sum.emitted, sum.detail(len(in.Events))
	return out, acted, err
}

// partOf returns what the tries before have done of a step with each.
func (t *try) partOf(index int) weir.StepOutcome {
	for _, d := range t.lease.Run.Done {
		if d.Index == index {
			return d
		}
	}
	return weir.StepOutcome{}
}

// place returns where an event of the batch stands in the run's batch, from 1:
// transform steps drop events, but keep those that they leave in their places.
func (t *try) place(rec *weir.Record) int {
	if t.places == nil {
		t.places = make(map[weir.Seq]int)
		for i, m := range sorted(t.lease.Run.Firing.Members) {
			t.places[m.Seq] = i + 1
		}
	}
	place := t.places[rec.Seq]
	if place == 0 {
		panic("a step made an event of its own")
	}
	return place
}

// replaced makes the answer of a step the batch, for the steps after it.
func (t *try) replaced(s *compiled, in *step.Input, output []byte) (err error) {
	if s.each {
		t.events, err = step.ReplaceEach(in.Events, output)
		return err
	}
	events, err := step.Replace(in, output)
	if err != nil {
		return err
	}
	t.events, t.places = events, make(map[weir.Seq]int, len(events))
	for i, rec := range events {
		t.places[rec.Seq] = i + 1
	}
	return nil
}

// tally sums up what a step with each does.
type tally struct {
	limits  step.Limits
	prior   []json.RawMessage // outputs of the tries before
	items   []json.RawMessage // outputs by event; nil is none
	bytes   int               // of items
	cut     bool              // an item was too much
	some    bool              // an item is not nil
	done    int               // events, those of the tries before too
	emitted []*weir.Event
	emits   int // bytes emitted
	last    string
}

func newTally(prior *weir.StepOutcome, in *step.Input) *tally {
	t := &tally{limits: in.Limits}
	if prior.Output != nil {
		_ = json.Unmarshal(prior.Output, &t.prior) // "***" where a secret broke it: no items
	}
	return t
}

// skip counts an event that had its effect in a try before.
func (t *tally) skip() {
	var item json.RawMessage
	if t.done < len(t.prior) {
		item = t.prior[t.done]
	}
	t.keep(item)
}

// add counts an event that has its effect now, or says what it left that cannot
// be kept.
func (t *tally) add(out *step.Outcome, replaces bool) *step.Failure {
	size := 0
	for _, e := range out.Emitted {
		size += len(e.Data)
	}
	if t.emits+size > t.limits.Emitted {
		return step.Final(fmt.Sprintf("the events of this step are over %d bytes long in all", t.limits.Emitted)).Failure
	}
	item := json.RawMessage(out.Output)
	if t.bytes+len(item) > t.limits.Output {
		if replaces {
			return step.Final(fmt.Sprintf("the answers are over %d bytes long in all", t.limits.Output)).Failure
		}
		item, t.cut = nil, true
	}
	t.emits += size
	t.emitted = append(t.emitted, out.Emitted...)
	t.keep(item)
	return nil
}

func (t *tally) keep(item json.RawMessage) {
	t.done++
	t.items = append(t.items, item)
	t.bytes += len(item) + 1 // a comma
	t.some = t.some || item != nil
}

// output returns a JSON array with an item for each event that had its effect:
// null where there is none, and nil where there are none at all.
func (t *tally) output() []byte {
	if !t.some {
		return nil
	}
	b := make([]byte, 0, t.bytes+len(t.items)*len("null")+2)
	for i, item := range t.items {
		b = append(b, "[,"[min(i, 1)])
		if item == nil {
			item = json.RawMessage("null")
		}
		b = append(b, item...)
	}
	return append(b, ']')
}

func (t *tally) detail(events int) string {
	text := fmt.Sprintf("%d of %d events", t.done, events) + t.last
	if t.cut {
		text += fmt.Sprintf("; of the answers only %d bytes are kept", t.limits.Output)
	}
	return text
}
