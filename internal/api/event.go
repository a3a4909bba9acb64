package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"weir"
	"weir/client"
	"weir/internal/auth"
	"weir/internal/ingest"
	"weir/internal/track"
)

// event describes client.Event for the OpenAPI document. Extensions stand
// beside these.
type event struct {
	SpecVersion string          `json:"specversion" enum:"1.0"`
	ID          string          `json:"id"`
	Source      string          `json:"source" format:"uri-reference"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject,omitempty"`
	Time        string          `json:"time,omitempty" format:"date-time"`
	ContentType string          `json:"datacontenttype,omitempty"`
	Schema      string          `json:"dataschema,omitempty" format:"uri"`
	Data        json.RawMessage `json:"data,omitempty"`
	Base64      []byte          `json:"data_base64,omitempty"`
	Execution   string          `json:"execution,omitempty" doc:"What the event belongs to; made at the door where it has none."`
	Cause       string          `json:"cause,omitempty" doc:"The run that emitted it."`
	Hops        int             `json:"hops,omitempty" doc:"How many runs stand between it and the outside."`
	DataRef     string          `json:"dataref,omitempty" format:"uri-reference" doc:"Where the data is, which is too long to be shown or a file."`
	UID         string          `json:"uid"`
	Seq         uint64          `json:"seq"`
	At          string          `json:"at" format:"date-time" doc:"When it was accepted."`
	_           struct{}        `additionalProperties:"true"`
}

// publish takes events. It is the hot path, so it stands outside of huma.
func (a *API) publish(w http.ResponseWriter, r *http.Request) {
	c, err := a.caller(r)
	entry := ingest.Entry{Project: c.project, Door: "api"}
	if err == nil {
		err = c.Need(auth.Publisher)
	}
	var form ingest.Form
	if err == nil {
		form, err = ingest.FormOf(r.Header)
	}
	if err != nil {
		a.refuse(w, r, entry, err)
		return
	}
	source := "/api/" + c.Name
	switch form {
	case ingest.InLines:
		a.publishLines(w, r, entry, source)
	case ingest.InFiles:
		a.publishFiles(w, r, entry, source)
	case ingest.Whole:
		a.publishWhole(w, r, entry, source)
	}
}

// refuse lists what is turned away, and says so.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, entry ingest.Entry, err error) {
	a.Door.Refuse(entry, nil, err)
	a.fail(w, r, err)
}

func (a *API) publishWhole(w http.ResponseWriter, r *http.Request, entry ingest.Entry, source string) {
	body, done, err := a.Door.Read(w, r)
	defer done()
	if err != nil {
		a.refuse(w, r, entry, err)
		return
	}
	accepted, err := a.Door.Take(r.Context(), entry, ingest.Body{
		Header: r.Header, Bytes: body, Query: r.URL.Query(), Key: r.Header.Get("Idempotency-Key"), Source: source,
	})
	a.answerAccepted(w, r, accepted, err)
}

func (a *API) publishFiles(w http.ResponseWriter, r *http.Request, entry ingest.Entry, source string) {
	stream, err := a.Door.Stream(w, r)
	if err != nil {
		a.refuse(w, r, entry, err)
		return
	}
	accepted, err := a.Door.TakeFiles(r.Context(), entry, ingest.Files{
		In: stream, ContentType: r.Header.Get("Content-Type"), Key: r.Header.Get("Idempotency-Key"), Source: source,
	})
	if err != nil {
		stream.Drain()
	}
	a.answerAccepted(w, r, accepted, err)
}

// hookMethods are those of deliveries and of the handshakes before them.
var hookMethods = []string{http.MethodPost, http.MethodGet, http.MethodOptions}

// hook takes a webhook. Its signature stands for a token. A handshake is
// answered by who knows it.
func (a *API) hook(w http.ResponseWriter, r *http.Request) {
	accepted, err := a.Hooks.Receive(w, r)
	if accepted == nil && err == nil {
		return
	}
	a.answerAccepted(w, r, accepted, err)
}

func (a *API) answerAccepted(w http.ResponseWriter, r *http.Request, accepted []ingest.Accepted, err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	receipts := make([]client.Receipt, len(accepted))
	var last weir.Seq
	for i, e := range accepted {
		receipts[i] = client.Receipt{ID: e.ID, UID: e.UID.String(), Seq: e.Seq, Duplicate: e.Duplicate}
		last = max(last, e.Seq)
	}
	if last > 0 {
		setSeq(w, last)
	}
	b := append(client.AppendReceipts(make([]byte, 0, 128*(1+len(receipts))), receipts), '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(b) // the client may be gone
}

type eventsQuery struct {
	Paging
	Period
	Type      string   `query:"type" doc:"Globs as in triggers, with commas between: order.*,!order.test"`
	Source    string   `query:"source"`
	ID        string   `query:"id"`
	Subject   string   `query:"subject"`
	Execution string   `query:"execution"`
	Cause     string   `query:"cause" doc:"The id of the run that emitted it."`
	Where     []string `query:"where,explode" maxItems:"10" doc:"A condition in CEL over event and data; may be given again."`
	Data      []string `query:"data,explode" maxItems:"10" doc:"PATH=VALUE: what the data has there, as in order.total=12; may be given again."`
}

func (a *API) registerEvents() {
	register(a, operation{
		id: "list-events", method: http.MethodGet, path: "/v1/events", role: auth.Viewer, summary: "List events, newest first",
	}, func(ctx context.Context, in *eventsQuery) (*listed[client.Event], error) {
		since, until, err := in.times()
		if err != nil {
			return nil, err
		}
		return listing(a.Reader.Events(ctx, callerOf(ctx).project, client.EventFilter{
			Type: in.Type, Source: in.Source, ID: in.ID, Subject: in.Subject, Execution: in.Execution, Cause: in.Cause,
			Where: in.Where, Data: in.Data, Since: since, Until: until,
		}, in.client()))
	})
	register(a, operation{
		id: "get-event", method: http.MethodGet, path: "/v1/events/{id}", role: auth.Viewer, summary: "Show an event by its uid",
	}, func(ctx context.Context, in *idPath) (*answer[client.Event], error) {
		uid, err := parsed(weir.ParseEventUID(in.ID))
		if err != nil {
			return nil, err
		}
		return answered(a.Reader.Event(ctx, callerOf(ctx).project, uid))
	})
	register(a, operation{
		id: "list-refusals", method: http.MethodGet, path: "/v1/refusals", role: auth.Viewer,
		summary: "List what was turned away, newest first",
	}, func(ctx context.Context, in *refusalsQuery) (*answer[client.Page[client.Refusal]], error) {
		return answered(a.refusals(ctx, in))
	})
}

type refusalsQuery struct {
	Paging
	Period
	Door string `query:"door" doc:"Where it came in, such as api or hook/github."`
	Code string `query:"code" enum:"invalid,unauthenticated,forbidden,not_found,conflict,too_large,limited,behind,disk_full,unavailable,internal"`
	Type string `query:"type" doc:"Of the event: globs as in triggers, with commas between."`
}

// refusalsAtOnce is how many refusals are looked at together.
const refusalsAtOnce = 1000

// refusals lists refusals, as of now: those that are still held at the door are
// among them. So few are kept that a page looks at all.
func (a *API) refusals(ctx context.Context, in *refusalsQuery) (page client.Page[client.Refusal], err error) {
	page.Items = []client.Refusal{}
	var before int64
	if in.After != "" {
		if before, err = strconv.ParseInt(in.After, 10, 64); err != nil || before <= 0 {
			return page, weir.E("", weir.Invalid, "%q is the next of no answer", in.After).WithField("after")
		}
	}
	wanted, err := in.wanted()
	if err != nil {
		return page, err
	}
	if err := a.Door.Flush(ctx); err != nil {
		return page, err
	}
	for {
		all, err := a.State.ListRefusals(ctx, callerOf(ctx).project, before, refusalsAtOnce)
		if err != nil {
			return page, err
		}
		for i := range all {
			if !wanted(&all[i]) {
				continue
			}
			if len(page.Items) == in.Limit {
				page.Next = strconv.FormatInt(page.Items[in.Limit-1].N, 10)
				return page, nil
			}
			page.Items = append(page.Items, shownRefusal(&all[i]))
		}
		if len(all) < refusalsAtOnce {
			return page, nil
		}
		before = all[len(all)-1].N
	}
}

// wanted returns what tells the refusals that are asked for.
func (in *refusalsQuery) wanted() (func(*weir.Refusal) bool, error) {
	since, until, err := in.times()
	if err != nil {
		return nil, err
	}
	types, err := track.ParseTypes(in.Type)
	if err != nil {
		return nil, err
	}
	return func(f *weir.Refusal) bool {
		return (in.Door == "" || in.Door == f.Door) &&
			(in.Code == "" || in.Code == string(f.Code)) &&
			(types == nil || f.Type != "" && types.Match(f.Type)) &&
			(since == 0 || f.At >= since) && (until == 0 || f.At < until)
	}, nil
}

func shownRefusal(f *weir.Refusal) client.Refusal {
	return client.Refusal{
		N: f.N, At: f.At, Door: f.Door, Code: f.Code, Reason: f.Reason, Field: f.Field, Source: f.Source, ID: f.ID, Type: f.Type,
	}
}
