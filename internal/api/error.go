package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir"
	"weir/client"
	"weir/internal/ingest"
)

// meaning is what a code means in HTTP.
type meaning struct {
	status int
	title  string
	retry  int // seconds to wait before trying again; 0: trying again is no use
}

// meaningOf is the one map from codes to statuses.
func meaningOf(code weir.Code) meaning {
	switch code {
	case weir.Invalid:
		return meaning{status: http.StatusBadRequest, title: "Invalid input"}
	case weir.Unauthenticated:
		return meaning{status: http.StatusUnauthorized, title: "Not authenticated"}
	case weir.Forbidden:
		return meaning{status: http.StatusForbidden, title: "Not allowed"}
	case weir.NotFound:
		return meaning{status: http.StatusNotFound, title: "Not found"}
	case weir.Conflict:
		return meaning{status: http.StatusConflict, title: "Conflict"}
	case weir.TooLarge:
		return meaning{status: http.StatusRequestEntityTooLarge, title: "Too large"}
	case weir.Limited:
		return meaning{status: http.StatusTooManyRequests, title: "Too much at once", retry: 1}
	case weir.Behind:
		return meaning{status: http.StatusServiceUnavailable, title: "Not shown yet", retry: 1}
	case weir.DiskFull:
		return meaning{status: http.StatusServiceUnavailable, title: "Disk full", retry: 10}
	case weir.Unavailable:
		return meaning{status: http.StatusServiceUnavailable, title: "Not available", retry: 1}
	case weir.Internal:
	}
	return meaning{status: http.StatusInternalServerError, title: "Internal error"}
}

// failure is an answer that is an error.
type failure struct {
	problem client.Problem
	retry   int
}

// failureOf turns an error into an answer. People see the message of all codes
// but internal, for which id leads to the line in the log.
func failureOf(err error, id string) *failure {
	e, ok := errors.AsType[*weir.Error](err)
	if !ok || e.Code == weir.Internal {
		e = weir.E("", weir.Internal, "internal error, request %s", id)
	}
	m := meaningOf(e.Code)
	f := &failure{retry: m.retry, problem: client.Problem{
		Type: problemType(e.Code), Title: m.title, Status: m.status, Code: e.Code, Detail: e.Message, Field: e.Field,
	}}
	if e.HasIndex {
		f.problem.Index = &e.Index
	}
	if known, ok := errors.AsType[*statusError](err); ok {
		f.problem.Status = known.status
	}
	if errors.Is(err, ingest.ErrContentType) {
		f.problem.Status = http.StatusUnsupportedMediaType
	}
	return f
}

func problemType(code weir.Code) string { return "urn:weir:" + string(code) }

// statusError is an error of HTTP itself, whose status says more than its code.
type statusError struct {
	status int
	err    *weir.Error
}

func (e *statusError) Error() string { return e.err.Error() }

func (e *statusError) Unwrap() error { return e.err }

// Error, GetStatus, GetHeaders and ContentType make a failure what huma expects
// of the errors of handlers.
func (f *failure) Error() string { return f.problem.Detail }

// GetStatus returns the status of the answer.
func (f *failure) GetStatus() int { return f.problem.Status }

// ContentType returns the media type of problems.
func (f *failure) ContentType(string) string { return client.ProblemType }

// GetHeaders returns the headers that go with the status.
func (f *failure) GetHeaders() http.Header {
	h := http.Header{}
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retry))
	}
	if f.problem.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

// failure logs an internal error and makes the answer.
func (a *API) failure(ctx context.Context, err error) *failure {
	id := ingest.NewID(time.Now())
	if ctx.Err() != nil && weir.CodeOf(err) == weir.Internal {
		err = weir.E("", weir.Unavailable, "the request was given up")
	}
	if weir.CodeOf(err) == weir.Internal {
		a.log.Error("a request failed", "request", id, "err", err)
	}
	return failureOf(err, id)
}

// fail answers a request of a plain handler with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := a.failure(r.Context(), err)
	for name, values := range f.GetHeaders() {
		w.Header()[name] = values
	}
	writeJSON(w, f.problem.Status, client.ProblemType, f.problem)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client may be gone
}

// problems turns huma's errors and ours into problems, as the last step before
// an answer is written.
func problems(_ huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *failure:
		return e.problem, nil
	case *huma.ErrorModel:
		return problemOf(e), nil
	}
	return v, nil
}

// problemOf turns what huma found wrong with a request into a problem.
func problemOf(m *huma.ErrorModel) client.Problem {
	code := weir.Invalid
	switch {
	case m.Status == http.StatusRequestEntityTooLarge:
		code = weir.TooLarge
	case m.Status >= 500:
		code = weir.Internal
	}
	p := client.Problem{
		Type: problemType(code), Title: meaningOf(code).title, Status: plainStatus(m.Status), Code: code, Detail: m.Detail,
	}
	if len(m.Errors) > 0 {
		p.Detail, p.Field = m.Errors[0].Message, field(m.Errors[0].Location)
	}
	return p
}

// field returns the name in a location of huma's: "query.limit", "body.value".
func field(location string) string {
	for _, part := range []string{"query.", "body.", "path.", "header."} {
		if len(location) > len(part) && location[:len(part)] == part {
			return location[len(part):]
		}
	}
	return ""
}

// plainStatus answers 400 where huma says 422: the code tells what it is.
func plainStatus(status int) int {
	if status == http.StatusUnprocessableEntity {
		return http.StatusBadRequest
	}
	return status
}

// humaContext is embedded under a name that is no method of it.
type humaContext huma.Context

// plainContext is a request in which plainStatus holds for the answer too.
type plainContext struct{ humaContext }

// SetStatus answers with the status that the problem in the body has.
func (c plainContext) SetStatus(status int) { c.humaContext.SetStatus(plainStatus(status)) }

// Unwrap returns the request as it came.
func (c plainContext) Unwrap() huma.Context { return c.humaContext }
