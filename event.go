package weir

import (
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Event is an immutable fact, a CloudEvent 1.0. Data is kept byte for byte:
// JSON where ContentType is empty or a JSON type, anything otherwise.
//
// Execution, Cause and Hops are Weir's: what the event belongs to, the run that
// emitted it, and how many runs stand between it and the outside. Execution and
// Hops are read from and shown as extensions, Cause only shown.
type Event struct {
	ID          string
	Source      string
	Type        string
	Subject     string // "" is none
	Time        Time   // none: the time of acceptance counts
	ContentType string
	Schema      string
	Extensions  []Extension // sorted by name
	Data        []byte      // nil is none
	Blob        *Blob       // where Data is kept outside of the journal; Data is then nil, or read from there

	Execution string
	Cause     RunID
	Hops      int
}

// Blob is an event's data that is kept in a file of its own: what is too long
// for the journal, and uploaded files, of which expressions see no data.
type Blob struct {
	ID   string   // 32 hex digits
	Size int64    // bytes
	Sum  [32]byte // SHA-256
	File bool     // uploaded: bytes that nothing looks into
}

// Extension is an extension attribute. Kind tells how Value, its canonical
// text, is written in JSON.
type Extension struct {
	Name  string
	Kind  ExtensionKind
	Value string
}

// ExtensionKind is the CloudEvents type of an extension, as far as JSON shows it.
type ExtensionKind uint8

// The kinds: String covers binary, URI and timestamp, which are strings in JSON.
const (
	ExtensionString ExtensionKind = iota
	ExtensionInt                  // 32 bits signed
	ExtensionBool
)

// TimeOr returns the event's time, or at where it has none.
func (e *Event) TimeOr(at Time) Time {
	if e.Time == 0 {
		return at
	}
	return e.Time
}

// LacksData reports whether the data is JSON that stands in a blob and was not
// read from there. Of a blob that is a file nobody reads it.
func (e *Event) LacksData() bool {
	return e.Blob != nil && e.Data == nil && !e.Blob.File && e.IsJSON()
}

// IsJSON reports whether Data is JSON.
func (e *Event) IsJSON() bool { return IsJSONType(e.ContentType) }

// IsJSONType reports whether a media type is JSON: none, application/json,
// text/json or one with the suffix +json (CloudEvents JSON format 1.0.2, 3.1).
func IsJSONType(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

// The longest attributes, in bytes. CloudEvents asks for at least 64 KiB in all.
const (
	MaxAttribute  = 4096
	MaxExtensions = 64
	MaxHops       = 16
)

// reserved names are attributes that only Weir sets, and those of the JSON format.
var reserved = []string{"at", "cause", "data", "data_base64", "seq", "uid"}

// Validate checks every attribute against CloudEvents 1.0.2 (section 3) and
// returns an Invalid error that names the attribute at fault.
func (e *Event) Validate() error {
	if err := e.validateRequired(); err != nil {
		return err
	}
	if err := e.validateOptional(); err != nil {
		return err
	}
	if len(e.Extensions) > MaxExtensions {
		return invalid("extensions", "%d extensions, and %d are the most", len(e.Extensions), MaxExtensions)
	}
	for i, x := range e.Extensions {
		if err := validateExtension(x); err != nil {
			return err
		}
		if i > 0 && e.Extensions[i-1].Name >= x.Name {
			return invalid(x.Name, "given twice")
		}
	}
	return nil
}

// CheckHops returns an Invalid error where too many runs stand between the event
// and the outside: it is kept, matches nothing, and is listed as a refusal by
// whoever appends it.
func (e *Event) CheckHops() error {
	if e.Hops <= MaxHops {
		return nil
	}
	return invalid("hops", "%d runs stand between the event and the outside, and %d are the most: it is kept and matches nothing", e.Hops, MaxHops)
}

func (e *Event) validateRequired() error {
	for _, a := range []struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			return invalid(a.name, "is required and may not be empty")
		}
		if err := validText(a.name, a.value); err != nil {
			return err
		}
	}
	if !isURIReference(e.Source) {
		return invalid("source", "%q is not a URI reference", e.Source)
	}
	return nil
}

func (e *Event) validateOptional() error {
	for _, a := range []struct{ name, value string }{
		{"subject", e.Subject}, {"datacontenttype", e.ContentType}, {"dataschema", e.Schema}, {"execution", e.Execution},
	} {
		if err := validText(a.name, a.value); err != nil {
			return err
		}
	}
	if e.ContentType != "" && e.ContentType != "application/json" {
		if _, _, err := mime.ParseMediaType(e.ContentType); err != nil {
			return invalid("datacontenttype", "%q is not a media type", e.ContentType)
		}
	}
	if e.Schema != "" {
		if u, err := url.Parse(e.Schema); err != nil || !u.IsAbs() {
			return invalid("dataschema", "%q is not an absolute URI", e.Schema)
		}
	}
	if e.Hops < 0 {
		return invalid("hops", "%d is negative", e.Hops)
	}
	return nil
}

func validateExtension(x Extension) error {
	if !isExtensionName(x.Name) {
		return invalid(x.Name, "is no attribute name: use lower-case letters and digits")
	}
	if slices.Contains(reserved, x.Name) {
		return invalid(x.Name, "is reserved: only Weir sets it")
	}
	switch x.Kind {
	case ExtensionInt:
		if _, err := strconv.ParseInt(x.Value, 10, 32); err != nil {
			return invalid(x.Name, "%s is not a 32-bit integer", x.Value)
		}
	case ExtensionBool:
		if x.Value != "true" && x.Value != "false" {
			return invalid(x.Name, "%s is not a boolean", x.Value)
		}
	case ExtensionString:
		return validText(x.Name, x.Value)
	}
	return nil
}

func isExtensionName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// validText applies CloudEvents' String type (section 2.1): no control
// characters, no noncharacters, valid UTF-8; and Weir's bound on length.
func validText(name, s string) error {
	if len(s) > MaxAttribute {
		return invalid(name, "%d bytes long, and %d are the most", len(s), MaxAttribute)
	}
	plain := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return nil
	}
	if !utf8.ValidString(s) {
		return invalid(name, "is not valid UTF-8")
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return invalid(name, "contains the control character U+%04X", r)
		}
		if r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			return invalid(name, "contains the noncharacter U+%04X", r)
		}
	}
	return nil
}

// isURIReference accepts what RFC 3986 calls a URI-reference, leaving the
// characters of plain paths and names to a quick look.
func isURIReference(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '/' || c == '-' || c == '_' || c == '.' {
			continue
		}
		if c == ' ' || c == '<' || c == '>' || c == '"' || c == '\\' || c == '^' || c == '`' || c == '{' || c == '|' || c == '}' {
			return false
		}
		_, err := url.Parse(s)
		return err == nil
	}
	return true
}

func invalid(field, format string, args ...any) *Error {
	return E("", Invalid, format, args...).WithField(field)
}
