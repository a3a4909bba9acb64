package pipeline

import (
	"slices"
	"strings"

	"weir"
)

// What becomes of the answer to an http step.
const (
	Ignore  = "ignore"  // it is kept as the step's output where it is JSON
	Emit    = "emit"    // it is the data of a new event
	Replace = "replace" // it is the batch for the steps that follow
)

// Binary is the mode of an http step that sends an event's attributes as headers.
const Binary = "binary"

// HasBody reports whether requests of a method have a body (RFC 9110, 9.3: those
// of GET and HEAD mean nothing).
func HasBody(method string) bool { return method != "GET" && method != "HEAD" }

// CheckHTTP returns an Invalid error, with the key at fault as its field, where
// the parts of an http step contradict one another or no request can have them.
// Whoever defines a step asks, so that none is found out when it runs. Templates
// are not looked into.
func CheckHTTP(def *weir.HTTPStep) error {
	for _, check := range []func(*weir.HTTPStep) *weir.Error{checkMethod, checkMode, checkHeaders, checkSuccess, checkResponse} {
		if err := check(def); err != nil {
			return err
		}
	}
	return nil
}

func wrong(field, format string, args ...any) *weir.Error {
	return weir.E("http", weir.Invalid, format, args...).WithField(field)
}

func checkMethod(def *weir.HTTPStep) *weir.Error {
	methods := []string{"", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET", "HEAD"}
	switch {
	case !slices.Contains(methods, def.Method):
		return wrong("method", "%q is none of %s", def.Method, strings.Join(methods[1:], ", "))
	case def.Body != nil && !HasBody(def.Method):
		return wrong("body", "a request by %s has none", def.Method)
	}
	return nil
}

func checkMode(def *weir.HTTPStep) *weir.Error {
	switch {
	case def.Mode == "":
		return nil
	case def.Mode != Binary && def.Mode != "structured":
		return wrong("mode", "%q is none of structured, binary", def.Mode)
	case def.Body != nil:
		return wrong("mode", "says how events are sent, and body sends something else")
	case !HasBody(def.Method):
		return wrong("mode", "says how events are sent, and a request by %s has no body", def.Method)
	}
	return nil
}

// own are the headers that follow from the request.
var own = []string{"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"}

// CanSet reports whether a step or destination can set a header: its name is a
// token (RFC 9110, 5.6.2), and it does not follow from the request.
func CanSet(header string) bool {
	token := header != "" && !strings.ContainsFunc(header, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	return token && !slices.Contains(own, strings.ToLower(header))
}

func checkHeaders(def *weir.HTTPStep) *weir.Error {
	for _, h := range def.Headers {
		name := strings.ToLower(h.Name)
		switch {
		case !CanSet(name):
			return wrong("headers", "%q is no header that a step can set", h.Name)
		case def.Sign != "" && strings.HasPrefix(name, "webhook-"):
			return wrong("headers", "%q is set by sign", h.Name)
		case def.Mode == Binary && strings.HasPrefix(name, "ce-"):
			return wrong("headers", "%q is set by mode: binary", h.Name)
		}
	}
	return nil
}

func checkSuccess(def *weir.HTTPStep) *weir.Error {
	if def.Success != nil && len(def.Success) == 0 {
		return wrong("success", "no status is a success: every request would fail")
	}
	for _, text := range def.Success {
		if !isStatus(text) {
			return wrong("success", "%q is no status such as 2xx or 404", text)
		}
	}
	return nil
}

// isStatus reports whether text is a status from 200 on, or a class of them.
func isStatus(text string) bool {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	return len(text) == 3 && text[0] >= '2' && text[0] <= '5' && (text[1:] == "xx" || isDigit(text[1]) && isDigit(text[2]))
}

func checkResponse(def *weir.HTTPStep) *weir.Error {
	switch {
	case !slices.Contains([]string{"", Ignore, Emit, Replace}, def.Response):
		return wrong("response", "%q is none of ignore, emit TYPE, replace", def.Response)
	case def.Response == Emit && def.EmitType == "":
		return wrong("response", "what is emitted needs a type: emit TYPE")
	}
	return nil
}
