package track

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/client"
	"weir/internal/expr"
	"weir/internal/journal"
)

// Events lists events, newest first. It uses the look-up of the narrowest
// attribute and compares the others.
func (r *Reader) Events(ctx context.Context, project weir.ProjectID, f client.EventFilter, p client.Paging) (client.Page[client.Event], error) {
	page := client.Page[client.Event]{Items: []client.Event{}}
	w, err := r.wishFor(f)
	if err != nil {
		return page, err
	}
	q, err := w.query(project, p.After)
	if err != nil {
		return page, err
	}
	if q.UpTo, _, err = r.State.Cursor(ctx); err != nil || q.UpTo == 0 {
		return page, err // nothing is folded yet
	}
	page.AsOf = q.UpTo
	if f.Source != "" && f.ID != "" {
		return page, r.named(ctx, w, q, &page)
	}
	b, size := newBudget(), 0
	for {
		q.Limit, q.Look = min(limit(p)-len(page.Items), eventsAtOnce), b.left()
		found, err := r.Journal.Find(ctx, q)
		if err != nil {
			return page, err
		}
		for _, rec := range found.Records {
			ok, err := w.fits(ctx, rec)
			switch {
			case err != nil:
				return page, err
			case ok:
				page.Items = append(page.Items, r.event(rec))
				size += len(rec.Event.Data)
			case time.Now().After(b.until):
				b.looked += found.Looked
				cut(&page, seqText(rec.Seq), b, rec.At)
				return page, nil
			}
			if len(page.Items) == limit(p) || size >= maxPage {
				page.Next = seqText(rec.Seq)
				return page, nil
			}
		}
		b.looked += found.Looked
		if found.Next == 0 {
			return page, nil
		}
		if b.spent() {
			cut(&page, seqText(found.Next), b, found.BackTo)
			return page, nil
		}
		q.Before = found.Next
	}
}

// What a list of events holds in memory: a page ends when its data has maxPage
// bytes, and eventsAtOnce records are looked at together.
const (
	maxPage      = 8 << 20
	eventsAtOnce = 100
)

// named adds the one event that has a source and id, where it is within the
// query's bounds.
func (r *Reader) named(ctx context.Context, w *eventWish, q journal.Query, page *client.Page[client.Event]) error {
	identity := (&weir.Record{Project: q.Project, Event: &weir.Event{Source: w.Source, ID: w.ID}}).Identity()
	at, known := r.Journal.Place(ctx, identity)
	if !known || at.Seq > q.UpTo || q.Before > 0 && at.Seq >= q.Before || at.At < q.From || q.To > 0 && at.At >= q.To {
		return nil
	}
	records, err := r.Journal.Records(ctx, []weir.Seq{at.Seq})
	if err != nil || records[0] == nil {
		return err
	}
	ok, err := w.fits(ctx, records[0])
	if ok {
		page.Items = append(page.Items, r.event(records[0]))
	}
	return err
}

func seqText(seq weir.Seq) string { return strconv.FormatUint(uint64(seq), 10) }

// maxConditions bounds the conditions of one list.
const maxConditions = 10

// eventWish is which events a list has.
type eventWish struct {
	client.EventFilter
	reader     *Reader
	types      *expr.Globs // nil: any
	cause      weir.RunID
	conditions []*expr.Program
	vars       expr.Vars
}

func (r *Reader) wishFor(f client.EventFilter) (w *eventWish, err error) {
	w = &eventWish{EventFilter: f, reader: r}
	if w.types, err = ParseTypes(f.Type); err != nil {
		return nil, err
	}
	if f.Cause != "" {
		if w.cause, err = weir.ParseRunID(f.Cause); err != nil {
			return nil, weir.E("", weir.Invalid, "%w", err).WithField("cause")
		}
	}
	if len(f.Where)+len(f.Data) > maxConditions {
		return nil, weir.E("", weir.Invalid, "%d conditions, and %d are the most", len(f.Where)+len(f.Data), maxConditions).WithField("where")
	}
	for _, text := range f.Where {
		if err := w.require("where", text); err != nil {
			return nil, err
		}
	}
	for _, text := range f.Data {
		condition, err := hasValue(text)
		if err != nil {
			return nil, err
		}
		if err := w.require("data", condition); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *eventWish) require(field, condition string) error {
	program, err := expr.CompileCondition(condition, expr.ScopeEvent)
	if _, ok := errors.AsType[*expr.CompileError](err); ok {
		return weir.E("", weir.Invalid, "%w", err).WithField(field)
	}
	w.conditions = append(w.conditions, program)
	return err
}

// hasValue makes a condition of "PATH=VALUE". A value that is JSON's number,
// true, false or null is also met by the same as text.
func hasValue(text string) (string, error) {
	path, value, found := strings.Cut(text, "=")
	if !found || path == "" {
		return "", weir.E("", weir.Invalid, "%s is not of the form order.total=12", strconv.Quote(text)).WithField("data")
	}
	at := "data"
	for name := range strings.SplitSeq(path, ".") {
		at += "[" + strconv.Quote(name) + "]"
	}
	condition := at + " == " + strconv.Quote(value)
	if isScalar(value) {
		condition += " || " + at + " == " + value
	}
	return condition, nil
}

// isScalar reports whether a text is also a value of CEL other than text.
func isScalar(text string) bool {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil || text == "true" || text == "false" || text == "null" {
		return json.Valid([]byte(text))
	}
	return strings.ContainsAny(text, ".eE") && json.Valid([]byte(text)) && text[0] != '"' && text[0] != '{' && text[0] != '['
}

// query asks for the events by the look-up that finds fewest.
func (w *eventWish) query(project weir.ProjectID, after string) (journal.Query, error) {
	q := journal.Query{Project: project, Only: journal.Events, From: w.Since, To: w.Until}
	if after != "" {
		before, err := strconv.ParseUint(after, 10, 64)
		if err != nil || before == 0 {
			return q, badAfter(after)
		}
		q.Before = weir.Seq(before)
	}
	exact := w.Type
	if strings.ContainsAny(exact, "*?[,") || strings.HasPrefix(exact, "!") {
		exact = ""
	}
	for _, by := range []struct {
		kind  journal.Kind
		value string
	}{
		{journal.ByCause, w.Cause},
		{journal.ByExecution, w.Execution},
		{journal.BySubject, w.Subject},
		{journal.ByType, exact},
		{journal.BySource, w.Source},
	} {
		if by.value != "" {
			q.Kind, q.Value = by.kind, by.value
			break
		}
	}
	return q, nil
}

// fits reports whether an event is asked for. A condition that fails, because of
// a missing field or its cost, does not hold.
func (w *eventWish) fits(ctx context.Context, rec *weir.Record) (bool, error) {
	e := rec.Event
	if w.types != nil && !w.types.Match(e.Type) ||
		w.Source != "" && w.Source != e.Source ||
		w.ID != "" && w.ID != e.ID ||
		w.Subject != "" && w.Subject != e.Subject ||
		w.Execution != "" && w.Execution != e.Execution ||
		!w.cause.IsZero() && w.cause != e.Cause {
		return false, nil
	}
	if len(w.conditions) == 0 {
		return true, nil
	}
	rec, err := w.whole(ctx, rec)
	if err != nil {
		return false, err
	}
	w.vars.Reset(rec)
	for _, c := range w.conditions {
		if ok, err := c.Bool(&w.vars); err != nil || !ok {
			return false, nil //nolint:nilerr // it does not hold
		}
	}
	return true, nil
}

// whole returns the record with its data, where that is JSON in a blob.
func (w *eventWish) whole(ctx context.Context, rec *weir.Record) (*weir.Record, error) {
	if w.reader.Blobs == nil || !rec.Event.LacksData() {
		return rec, nil
	}
	data, err := w.reader.Blobs.Read(ctx, *rec.Event.Blob)
	if isLost(err) {
		return rec, nil
	}
	if err != nil {
		return nil, err
	}
	read, e := *rec, *rec.Event
	e.Data, read.Event = data, &e
	return &read, nil
}
