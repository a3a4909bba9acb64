package pipeline

import (
	"net/url"
	"strings"

	"weir"
)

// IsDone reports whether the step at index had its effect in an earlier try.
func IsDone(done []weir.StepOutcome, index int) bool {
	for i := range done {
		if done[i].Index == index && done[i].Finished {
			return true
		}
	}
	return false
}

// NextAction returns the place of the first action step that is not done, and
// false where none is left. A nil pipeline is the empty one.
func NextAction(p *weir.Pipeline, done []weir.StepOutcome) (int, bool) {
	if p == nil {
		return 0, false
	}
	for i := range p.Steps {
		if p.Steps[i].Acts() && !IsDone(done, i) {
			return i, true
		}
	}
	return 0, false
}

// IsQuick reports whether no step is left that waits for the outside or may think
// for long. A nil pipeline is the empty one.
func IsQuick(p *weir.Pipeline, done []weir.StepOutcome) bool {
	if p == nil {
		return true
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Filter == nil && s.Transform == nil && s.Emit == nil && s.Log == nil && !IsDone(done, i) {
			return false
		}
	}
	return true
}

// Origin returns the origin of the next action step, as OriginOf writes it,
// where its URL is literal up to the path. It is "" where that step has no URL
// or its origin is known only after rendering.
func Origin(p *weir.Pipeline, done []weir.StepOutcome) string {
	i, ok := NextAction(p, done)
	if !ok || p.Steps[i].HTTP == nil {
		return ""
	}
	return LiteralOrigin(p.Steps[i].HTTP.URL)
}

// LiteralOrigin returns the origin of a URL template, "" where a ${…} stands
// before the path.
func LiteralOrigin(template string) string {
	_, rest, ok := strings.Cut(template, "://")
	if !ok {
		return ""
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	end := len(template) - len(rest) + len(authority)
	if strings.Contains(template[:end], "$") {
		return ""
	}
	u, err := url.Parse(template[:end])
	if err != nil {
		return ""
	}
	return OriginOf(u)
}

// maxHost is how long the name of a host can be. What is longer is none, and need
// not be held and written as one.
const maxHost = 253

// OriginOf returns "scheme://host:port" in lower case, the scheme's default
// port left out; "" for what is not http or https or names no host that there
// can be.
func OriginOf(u *url.URL) string {
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if scheme != "http" && scheme != "https" || host == "" || len(host) > maxHost || len(port) > len("65535") {
		return ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + port
}
