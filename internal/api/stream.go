package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/client"
	"weir/internal/auth"
)

// What a stream takes: how long one write may, after what time the token is
// looked at again, and how much is held.
const (
	streamWrite  = 10 * time.Second
	streamCheck  = 15 * time.Second
	streamBuffer = 64 << 10 // written at once, about
)

// stream tells what happens, as server-sent events (HTML, section 9.2). It ends
// when the reader leaves, is too slow or may not read any more, or the server
// stops.
func (a *API) stream(w http.ResponseWriter, r *http.Request) {
	f, after, err := streamQuery(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	out := streamWriter{to: w, control: http.NewResponseController(w)}
	for page, err := range a.Streams.Follow(r.Context(), callerOf(r.Context()).project, f, after) {
		if err != nil && out.checked.IsZero() {
			a.fail(w, r, err)
			return
		}
		if err == nil {
			err = a.mayGoOn(r, &out)
		}
		if err != nil {
			out.drop(a.failure(r.Context(), err))
			return
		}
		if out.page(page) != nil {
			return // it is gone, or reads nothing
		}
	}
}

// mayGoOn begins the answer, and looks now and then whether the token still
// holds.
func (a *API) mayGoOn(r *http.Request, out *streamWriter) error {
	now := time.Now()
	switch {
	case out.checked.IsZero():
		out.checked = now
		return out.begin()
	case now.Sub(out.checked) < streamCheck:
		return nil
	}
	out.checked = now
	c, err := a.caller(r)
	if err != nil {
		return err
	}
	return c.Need(auth.Viewer)
}

// streamWriter writes items to one reader.
type streamWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
	checked time.Time // when the token was looked at; zero before the answer began
}

// begin takes the limits away that the server sets for requests, and answers.
func (s *streamWriter) begin() error {
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	h := s.to.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for proxies that would wait for more
	s.to.WriteHeader(http.StatusOK)
	return nil
}

// page writes the items of a page, or, where there are none, where the stream
// stands.
func (s *streamWriter) page(p client.Page[client.StreamItem]) error {
	if len(p.Items) == 0 {
		s.buf.WriteString(": here\nid: " + p.Next + "\n\n")
	}
	for i := range p.Items {
		if err := s.item(&p.Items[i]); err != nil {
			return err
		}
		if s.buf.Len() < streamBuffer {
			continue
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
	return s.flush()
}

func (s *streamWriter) item(item *client.StreamItem) error {
	switch {
	case item.Event != nil:
		return s.block("event", item.Place, item.Event)
	case item.Run != nil:
		return s.block("run", item.Place, item.Run)
	case item.Group != nil:
		return s.block("group", item.Place, item.Group)
	}
	return s.block("gap", item.Place, item.Gap)
}

// block appends one item. JSON without white space has no line breaks.
func (s *streamWriter) block(kind, place string, data any) error {
	s.buf.WriteString("event: " + kind + "\n")
	if place != "" {
		s.buf.WriteString("id: " + place + "\n")
	}
	s.buf.WriteString("data: ")
	enc := json.NewEncoder(&s.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(data); err != nil {
		return err
	}
	s.buf.WriteByte('\n')
	return nil
}

// drop says why the stream ends.
func (s *streamWriter) drop(f *failure) {
	if s.block("dropped", "", client.Dropped{Code: f.problem.Code, Reason: f.problem.Detail}) == nil {
		_ = s.flush() // it may be gone
	}
}

// flush sends what was written; a reader that does not take it in time is lost.
func (s *streamWriter) flush() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.to.Write(s.buf.Bytes()); err != nil {
		return err
	}
	if s.buf.Reset(); s.buf.Cap() > 4*streamBuffer {
		s.buf = bytes.Buffer{}
	}
	return s.control.Flush()
}

// streamParams are the parameters of a stream, for requests and the document.
var streamParams = []struct{ name, doc string }{
	{"kinds", "Of items, with commas between: event, run, group. All where it is absent."},
	{"type", "Of events; globs as in triggers, with commas between."},
	{"source", "Of events."},
	{"pipeline", "Of runs."},
	{"trigger", "Of runs and groups."},
	{"run", "The id of a run: its changes, and the events that it emitted."},
	{"execution", "Of events, and of the batches of runs and groups."},
	{"attempts", "With true, each change of a run has what was tried: steps and log."},
	{"after", "An id of the stream, or the Weir-Seq of a list: go on behind it. The header Last-Event-ID goes first."},
}

func streamQuery(r *http.Request) (f client.StreamFilter, after string, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return f, "", weir.E("", weir.Invalid, "the query cannot be read: %w", err)
	}
	for name, values := range q {
		known := slices.ContainsFunc(streamParams, func(p struct{ name, doc string }) bool { return p.name == name })
		if !known {
			return f, "", weir.E("", weir.Invalid, "unknown query parameter").WithField(name)
		}
		if len(values) > 1 {
			return f, "", weir.E("", weir.Invalid, "given twice").WithField(name)
		}
	}
	f = client.StreamFilter{
		Kinds: q.Get("kinds"), Type: q.Get("type"), Source: q.Get("source"), Pipeline: q.Get("pipeline"),
		Trigger: q.Get("trigger"), Run: q.Get("run"), Execution: q.Get("execution"),
	}
	if text := q.Get("attempts"); text != "" {
		if f.Attempts, err = strconv.ParseBool(text); err != nil {
			return f, "", weir.E("", weir.Invalid, "%s is neither true nor false", strconv.Quote(text)).WithField("attempts")
		}
	}
	after = q.Get("after")
	if last := strings.TrimSpace(r.Header.Get("Last-Event-ID")); last != "" {
		after = last
	}
	return f, after, nil
}
