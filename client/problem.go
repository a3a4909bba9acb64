package client

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"weir"
)

// ProblemType is the media type of every answer that is an error.
const ProblemType = "application/problem+json"

// Problem is the body of every answer that is an error (RFC 9457).
type Problem struct {
	Type   string    `json:"type" doc:"A URN that ends in the code."`
	Title  string    `json:"title" doc:"The kind of error, for people."`
	Status int       `json:"status"`
	Code   weir.Code `json:"code" doc:"The kind of error, for programs; stable."`
	Detail string    `json:"detail" doc:"What is wrong, for people."`
	Field  string    `json:"field,omitempty" doc:"The part of the input at fault."`
	Index  *int      `json:"index,omitempty" doc:"Its place in a batch, from 0."`
	Line   int       `json:"line,omitempty" doc:"Its line in an upload of lines, from 1."`
}

// Error turns the problem back into the error that the server had.
func (p *Problem) Error(op string) *weir.Error {
	e := &weir.Error{Code: p.Code, Op: op, Message: p.Detail, Field: p.Field}
	if p.Index != nil {
		e.Index, e.HasIndex = *p.Index, true
	}
	return e
}

// failure reads the error from an answer; one that is no problem of Weir's, as
// a proxy may give, is taken by its status.
func failure(op string, status int, body []byte) *weir.Error {
	var p Problem
	if err := json.Unmarshal(body, &p); err == nil && p.Code != "" {
		return p.Error(op)
	}
	return weir.E(op, codeOfStatus(status), "the server answered %d %s", status, http.StatusText(status))
}

func codeOfStatus(status int) weir.Code {
	switch status {
	case http.StatusUnauthorized:
		return weir.Unauthenticated
	case http.StatusForbidden:
		return weir.Forbidden
	case http.StatusNotFound:
		return weir.NotFound
	case http.StatusConflict:
		return weir.Conflict
	case http.StatusRequestEntityTooLarge:
		return weir.TooLarge
	case http.StatusTooManyRequests:
		return weir.Limited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return weir.Unavailable
	}
	if status >= 400 && status < 500 {
		return weir.Invalid
	}
	return weir.Internal
}

// retryAfter returns how long an answer asks to wait, and whether it asks.
func retryAfter(h http.Header) (time.Duration, bool) {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}
