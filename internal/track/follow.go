package track

import (
	"context"
	"iter"
	"slices"
	"time"

	"weir"
	"weir/client"
	"weir/internal/expr"
)

const (
	followRecords = 256       // looked at for one page
	followBytes   = 128 << 10 // of the data of its events: as many pages wait as there are readers that take none
	heartbeat     = 15 * time.Second
)

// Follow tells what happens in a project behind a place, "" for the end, for as
// long as ctx lasts. Each page says in Next where the follower stands; a page
// without items says only that, at the beginning and each 15 s. The last pair
// is an error: Invalid for a filter or place that is none, Limited where there
// are too many followers or this one had caught up and is too far behind again,
// Unavailable when the tail ends.
func (t *Tail) Follow(
	ctx context.Context, project weir.ProjectID, f client.StreamFilter, after string,
) iter.Seq2[client.Page[client.StreamItem], error] {
	return func(yield func(client.Page[client.StreamItem], error) bool) {
		g := following{tail: t, project: project, attempts: f.Attempts, yield: yield}
		if err := g.run(ctx, f, after); err != nil && ctx.Err() == nil {
			yield(client.Page[client.StreamItem]{}, err)
		}
	}
}

// following is one Follow under way.
type following struct {
	tail     *Tail
	project  weir.ProjectID
	want     interest
	globs    *expr.Globs
	attempts bool
	yield    func(client.Page[client.StreamItem], error) bool

	at     place
	caught bool      // it was at the end once
	said   time.Time // when a page was handed out
}

func (g *following) run(ctx context.Context, f client.StreamFilter, after string) (err error) {
	if g.want, g.globs, err = parseInterest(f); err != nil {
		return err
	}
	if g.at, err = parsePlace(after); err != nil {
		return err
	}
	one, err := g.tail.join(g.project, g.want, g.globs, &g.at)
	if err != nil {
		return err
	}
	defer g.tail.leave(g.project, g.want, one)
	silence := time.NewTimer(heartbeat)
	defer silence.Stop()
	more := g.say(nil)
	for more && err == nil {
		from, upTo := g.tail.next(one, g.at.after)
		g.goTo(from)
		if from < upTo {
			more, err = g.read(ctx, upTo)
			continue
		}
		g.caught = true
		left := heartbeat - time.Since(g.said)
		if left <= 0 {
			more = g.say(nil)
			continue
		}
		silence.Reset(left)
		select {
		case <-one.wake:
		case <-silence.C:
		case <-g.tail.stopped:
			err = weir.E("", weir.Unavailable, "the server stops")
		case <-ctx.Done():
			more = false
		}
	}
	return err
}

// goTo takes all up to after as read.
func (g *following) goTo(after weir.Seq) {
	if after > g.at.after {
		g.at = place{after: after}
	}
}

// say hands out a page and reports whether more is wanted.
func (g *following) say(items []client.StreamItem) bool {
	g.said = time.Now()
	return g.yield(client.Page[client.StreamItem]{Items: items, Next: g.at.String()}, nil)
}

// read tells of the records up to a place, page by page.
func (g *following) read(ctx context.Context, upTo weir.Seq) (more bool, err error) {
	for g.at.after < upTo {
		items, err := g.page(ctx, upTo)
		if err != nil {
			return false, err
		}
		if (len(items) > 0 || time.Since(g.said) >= heartbeat) && !g.say(items) {
			return false, nil
		}
		if g.caught && g.tail.behind(g.at.after) {
			return false, weir.E("", weir.Limited, "the reader is too slow: it fell more than %d records behind", g.tail.Behind)
		}
		select {
		case <-g.tail.stopped:
			return false, weir.E("", weir.Unavailable, "the server stops")
		default:
		}
	}
	return true, nil
}

// page reads on, when it is this follower's turn.
func (g *following) page(ctx context.Context, upTo weir.Seq) (items []client.StreamItem, err error) {
	select {
	case g.tail.turns <- struct{}{}:
		defer func() { <-g.tail.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if far, err := g.skip(ctx, upTo); far || err != nil {
		return nil, err
	}
	records, err := g.tail.Journal.Read(ctx, g.at.after, followRecords)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 { // damage took all up to the end
		g.goTo(upTo)
	}
	for size := 0; len(records) > 0 && size < followBytes; records = records[1:] {
		rec := records[0]
		if rec.Seq > g.at.after+1 {
			gap := &client.Gap{From: g.at.after + 1, To: rec.Seq - 1}
			g.goTo(gap.To)
			items = append(items, client.StreamItem{Place: g.at.String(), Gap: gap})
		}
		more, err := g.itemsOf(ctx, rec)
		if err != nil {
			return nil, err
		}
		items = append(items, more...)
		if rec.Event != nil && len(more) > 0 {
			size += len(rec.Event.Data)
		}
	}
	return items, nil
}

// skip goes over blocks in which nothing is for the follower, and reports whether
// that was enough for a turn.
func (g *following) skip(ctx context.Context, upTo weir.Seq) (far bool, err error) {
	if g.globs == nil && g.want.run.IsZero() {
		return false, nil // a digest tells nothing
	}
	for {
		n := g.at.after / blockSize
		end := (n + 1) * blockSize
		if end > upTo {
			return g.at.after == upTo, nil
		}
		d, known, err := g.tail.past.find(ctx, n)
		if err != nil || d.gap || d.may(&g.want, g.globs) {
			return false, err
		}
		if g.goTo(end); !known {
			return true, nil
		}
	}
}

// itemsOf returns what a record, the next, tells, and stands behind it then.
func (g *following) itemsOf(ctx context.Context, rec *weir.Record) (items []client.StreamItem, err error) {
	told := g.at.items
	g.goTo(rec.Seq)
	if rec.Project != g.project || !g.want.may(g.globs, rec) {
		return nil, nil
	}
	r := g.tail.Reader
	if rec.Event != nil {
		e := r.event(rec)
		return []client.StreamItem{{Place: g.at.String(), Event: &e}}, nil
	}
	c := rec.Change
	if x := g.want.execution; x != "" && c.Firing == nil {
		first, err := r.firstChange(ctx, rec.Project, c.Run)
		if err != nil || first == nil || first.Change.Firing == nil || !slices.Contains(first.Change.Firing.Executions, x) {
			return nil, err
		}
	}
	if g.want.kinds&kindGroup != 0 && endsGroup(c) {
		v := endedGroup(c.Firing, c.Run)
		items = append(items, client.StreamItem{Group: &v})
	}
	if g.want.kinds&kindRun != 0 {
		v := runChange(rec)
		if g.attempts {
			tried := attempt(rec)
			v.Attempt = &tried
		}
		items = append(items, client.StreamItem{Run: &v})
	}
	for i := range items {
		inside := place{after: rec.Seq - 1, items: i + 1}
		if i == len(items)-1 {
			inside = g.at
		}
		items[i].Place = inside.String()
	}
	return items[min(told, len(items)):], nil
}

// runChange shows what a change did to its run.
func runChange(rec *weir.Record) client.RunChange {
	c := rec.Change
	state := stateAfter(c.Kind)
	v := client.RunChange{
		ID: c.Run.String(), N: c.N, At: rec.At, Outcome: c.Kind.String(), State: state.String(),
		Pipeline: c.Pipeline, Trigger: c.Trigger, Error: c.Error,
	}
	if !state.Ended() {
		v.Due = rec.At.Add(c.After)
	}
	if c.Attempt != nil {
		v.Try = c.Attempt.Try
	}
	return v
}
