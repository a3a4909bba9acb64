package httpcall

import (
	"net/url"
	"slices"
	"strings"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
)

// renderURL renders the URL and refuses what a value must not make of it.
func (s *Step) renderURL(vars *expr.Vars) (*url.URL, error) {
	text, err := s.url.RenderWith(vars, escape)
	if err != nil {
		return nil, err
	}
	if hasControl(text) {
		return nil, weir.E("", weir.Invalid, "a value puts a control character into it")
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, weir.E("", weir.Invalid, "%q is no URL", text)
	}
	switch origin := pipeline.OriginOf(u); {
	case origin == "":
		return nil, weir.E("", weir.Invalid, "%q is no http or https URL with a host", text)
	case s.origin != "" && origin != s.origin:
		return nil, weir.E("", weir.Invalid, "a value turns it away from %s", s.origin)
	}
	parts := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' || r == '\\' })
	if slices.Contains(parts, "..") {
		return nil, weir.E("", weir.Invalid, "%q climbs up its path", text)
	}
	u.RawQuery = strings.ReplaceAll(u.RawQuery, " ", "%20") // a space would end it
	return u, nil
}

// escape makes of a value what stands in a URL for it, so that it stays in the
// part where it was put (RFC 3986, section 2): it cannot add to the authority,
// leave the path, or begin a query or fragment. What a URL begins with is its
// author's to say.
func escape(before, value string) string {
	_, rest, ok := strings.Cut(before, "://")
	escaped := strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	switch {
	case !ok:
		return value
	case strings.ContainsAny(rest, "?#"):
		return escaped
	case strings.Contains(rest, "/"):
		return strings.ReplaceAll(escaped, "%2F", "/")
	}
	// In the authority. A host is not written with %, so that it is refused.
	return strings.NewReplacer("%3A", ":", "%5B", "[", "%5D", "]").Replace(escaped)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
