package track

import (
	"context"
	"strconv"

	"weir"
	"weir/client"
	"weir/internal/journal"
)

// Events lists events, newest first. It uses the look-up of the narrowest
// attribute and compares the others.
func (r *Reader) Events(ctx context.Context, project weir.ProjectID, f client.EventFilter, p client.Paging) (client.Page[client.Event], error) {
	page := client.Page[client.Event]{Items: []client.Event{}}
	q, err := r.eventQuery(ctx, project, f, p)
	if err != nil {
		return page, err
	}
	for looked, size := 0, 0; ; {
		q.Limit = min(limit(p)-len(page.Items), eventsAtOnce)
		found, err := r.Journal.Find(ctx, q)
		if err != nil {
			return page, err
		}
		records, next := found.Records, found.Next
		for _, rec := range records {
			if !wantsEvent(f, rec.Event) {
				continue
			}
			page.Items = append(page.Items, r.event(rec))
			size += len(rec.Event.Data)
			if len(page.Items) == limit(p) || size >= maxPage {
				page.Next = seqText(rec.Seq)
				return page, nil
			}
		}
		looked += len(records)
		if next == 0 {
			return page, nil
		}
		if looked >= maxLooked {
			page.Next = seqText(next)
			return page, nil
		}
		q.Before = next
	}
}

// What a list of events holds in memory: a page ends when its data has maxPage
// bytes, and eventsAtOnce records are looked at together.
const (
	maxPage      = 8 << 20
	eventsAtOnce = 100
)

func (r *Reader) eventQuery(ctx context.Context, project weir.ProjectID, f client.EventFilter, p client.Paging) (journal.Query, error) {
	cursor, _, err := r.State.Cursor(ctx)
	if err != nil {
		return journal.Query{}, err
	}
	q := journal.Query{Project: project, Only: journal.Events, From: f.Since, To: f.Until, UpTo: cursor}
	if p.After != "" {
		before, err := strconv.ParseUint(p.After, 10, 64)
		if err != nil {
			return q, badAfter(p.After)
		}
		q.Before = weir.Seq(before)
	}
	for _, by := range []struct {
		kind  journal.Kind
		value string
	}{
		{journal.ByExecution, f.Execution},
		{journal.BySubject, f.Subject},
		{journal.ByType, f.Type},
		{journal.BySource, f.Source},
	} {
		if by.value != "" {
			q.Kind, q.Value = by.kind, by.value
			break
		}
	}
	return q, nil
}

func wantsEvent(f client.EventFilter, e *weir.Event) bool {
	return (f.Type == "" || f.Type == e.Type) &&
		(f.Source == "" || f.Source == e.Source) &&
		(f.ID == "" || f.ID == e.ID) &&
		(f.Subject == "" || f.Subject == e.Subject) &&
		(f.Execution == "" || f.Execution == e.Execution)
}

func seqText(seq weir.Seq) string { return strconv.FormatUint(uint64(seq), 10) }
