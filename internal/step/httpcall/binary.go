package httpcall

import (
	"net/http"
	"strconv"
	"strings"

	"weir"
)

// setAttributes writes an event's attributes into headers: CloudEvents HTTP
// binding 1.0.2, section 3.1.3.
func (c *call) setAttributes(e *weir.Event) {
	c.set("Ce-Specversion", "1.0")
	for _, a := range attributes(e) {
		if a.Text != "" {
			c.setAttribute(a.Name, a.Text)
		}
	}
	if e.Hops > 0 {
		c.setAttribute("hops", strconv.Itoa(e.Hops))
	}
	for _, x := range e.Extensions {
		c.setAttribute(x.Name, x.Value)
	}
}

func (c *call) setAttribute(name, value string) {
	c.set(http.CanonicalHeaderKey("ce-"+name), percentEncoded(value))
}

// mediaType returns what Content-Type says of an event's data.
func mediaType(e *weir.Event) string {
	if e.ContentType == "" && (len(e.Data) > 0 || e.Blob != nil) {
		return "application/json"
	}
	return e.ContentType
}

// percentEncoded writes what is not printable ASCII, spaces, quotes and percent
// signs as %XX of their UTF-8 (section 3.1.3.2).
func percentEncoded(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			b.WriteString("%" + digits[c>>4:c>>4+1] + digits[c&15:c&15+1])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
