package ingest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir"
)

// isBinary reports whether the headers are those of an event in binary mode:
// specversion, or another attribute that every event has, is among them.
func isBinary(h http.Header) bool {
	return h["Ce-Specversion"] != nil || h["Ce-Id"] != nil || h["Ce-Source"] != nil || h["Ce-Type"] != nil
}

// isStructured reports whether a content type is one of CloudEvents, which makes
// the mode structured, or batched, whatever else the headers are (HTTP binding
// 1.0.2, section 3).
func isStructured(contentType string) bool {
	const prefix = "application/cloudevents"
	return len(contentType) >= len(prefix) && strings.EqualFold(contentType[:len(prefix)], prefix)
}

// headers reads one event in binary mode: its attributes are headers, and its
// data is the body, any bytes (HTTP binding 1.0.2, section 3.1).
func (d *decoder) headers(h http.Header, contentType string) error {
	e := d.next()
	e.ContentType = contentType
	if h["Ce-Specversion"] == nil {
		return weir.E("", weir.Invalid, "is required, as the header ce-specversion").WithField("specversion")
	}
	var fault error
	var at string // its header: the first in order, so that the same request has the same answer
	for header, values := range h {
		if len(header) <= 3 || !strings.EqualFold(header[:3], "ce-") {
			continue
		}
		name := strings.ToLower(header)
		if err := setHeader(e, name[3:], values); err != nil && (at == "" || name < at) {
			fault, at = err, name
		}
	}
	if fault != nil {
		return withField(fault, at)
	}
	slices.SortFunc(e.Extensions, byName)
	if len(d.b) == 0 {
		return nil
	}
	e.Data = d.b
	if e.IsJSON() {
		return withField(CheckJSON(d.b), "data")
	}
	return nil
}

// setHeader sets the attribute that a header tells.
func setHeader(e *weir.Event, name string, values []string) error {
	if len(values) > 1 {
		return weir.E("", weir.Invalid, "given twice")
	}
	value, err := headerText(values[0])
	if err != nil {
		return err
	}
	switch name {
	case "specversion":
		if value != "1.0" {
			return weir.E("", weir.Invalid, "%q is not taken: use 1.0", value)
		}
		return nil
	case "datacontenttype":
		return weir.E("", weir.Invalid, "is not taken: the header Content-Type tells it")
	case "hops":
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return weir.E("", weir.Invalid, "%q is not a 32-bit integer", clip(value, 40))
		}
		e.Hops = int(n)
		return nil
	}
	if value == "" {
		return weir.E("", weir.Invalid, "may not be empty")
	}
	return setText(e, name, value)
}

// headerText returns the text that a header's value stands for: the quotes of
// older versions are undone, then the percent-encoding, once. What it leaves
// must be UTF-8 (HTTP binding 1.0.2, section 3.1.3.2).
func headerText(value string) (string, error) {
	if strings.HasPrefix(value, `"`) {
		var err error
		if value, err = unquoted(value); err != nil {
			return "", err
		}
	}
	if strings.Contains(value, "%") {
		out := make([]byte, 0, len(value))
		for i := 0; i < len(value); i++ {
			if value[i] != '%' {
				out = append(out, value[i])
				continue
			}
			if i+2 >= len(value) || !isHex(value[i+1]) || !isHex(value[i+2]) {
				return "", weir.E("", weir.Invalid, "after %% stand no two hex digits at byte %d", i)
			}
			n, _ := strconv.ParseUint(value[i+1:i+3], 16, 8) // two hex digits
			out = append(out, byte(n))
			i += 2
		}
		value = string(out)
	}
	if !utf8.ValidString(value) {
		return "", weir.E("", weir.Invalid, "is not valid UTF-8")
	}
	return value, nil
}

// unquoted undoes a quoted string (RFC 7230, section 3.2.6).
func unquoted(value string) (string, error) {
	var out strings.Builder
	for i := 1; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"' && i == len(value)-1:
			return out.String(), nil
		case c == '"':
			return "", weir.E("", weir.Invalid, "goes on after its quotes")
		case c == '\\' && i+1 < len(value):
			i++
		}
		out.WriteByte(value[i])
	}
	return "", weir.E("", weir.Invalid, "begins with a quote and does not end with one")
}
