// Package show is how the command line tells things: tables, one thing line by
// line, JSON, colours, the progress of long work, and the words and exit status
// of errors. It knows the API's lists and errors, and neither flags nor calls.
//
// What comes from elsewhere reaches a terminal only through Printable: an event
// must not move somebody's cursor.
package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"weir"
)

// Form is how output is printed; the zero value is text for people.
type Form string

// The forms. IDs is for lists only: one id a line, for the next command.
const (
	Table Form = "table"
	JSON  Form = "json"
	IDs   Form = "ids"
)

// Printer prints to Out in a form, and to Notes what is told beside it. Env says
// whether a terminal has colours.
type Printer struct {
	Out, Notes io.Writer
	Form       Form
	Env        func(string) string
}

// Value prints v as JSON where that is the form, else as text does. It is
// written as one, so that a full disk is told of.
func (p *Printer) Value(v any, text func(w io.Writer)) error {
	var b bytes.Buffer
	switch p.Form {
	case JSON:
		if err := encode(&b, v, "  "); err != nil {
			return err
		}
	case IDs:
		return weir.E("", weir.Invalid, "ids are for lists: use table or json").WithField("--output")
	default:
		text(&b)
	}
	_, err := b.WriteTo(p.Out)
	return err
}

// Line prints v as JSON on one line.
func (p *Printer) Line(v any) error {
	var b bytes.Buffer
	if err := encode(&b, v, ""); err != nil {
		return err
	}
	_, err := b.WriteTo(p.Out)
	return err
}

// Note tells something beside what is printed.
func (p *Printer) Note(format string, args ...any) {
	fmt.Fprintln(p.Notes, Printable(fmt.Sprintf(format, args...)))
}

func encode(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	return enc.Encode(v)
}

// Printable returns s on one line and without what could move the cursor of a
// terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
}

// Clip returns at most n runes of s, saying that it was cut.
func Clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// Field prints a labelled line, unless the value is empty.
func Field(w io.Writer, label, value string) {
	if value != "" {
		fmt.Fprintf(w, "%-12s%s\n", label, Printable(value))
	}
}

// Text prints what somebody else wrote, line by line; JSON is indented, and what
// is no text is only told of.
func Text(w io.Writer, b []byte, contentType string) {
	var indented bytes.Buffer
	if weir.IsJSONType(contentType) && json.Indent(&indented, b, "", "  ") == nil {
		b = indented.Bytes()
	}
	if !utf8.Valid(b) {
		fmt.Fprintf(w, "%d bytes of %s\n", len(b), Printable(contentType))
		return
	}
	for line := range strings.Lines(string(b)) {
		fmt.Fprintln(w, Printable(strings.TrimRight(line, "\r\n")))
	}
}

// String, Set and Type make a form the value of a flag.
func (f *Form) String() string { return string(*f) }

// Set takes table, json or ids.
func (f *Form) Set(s string) error {
	switch Form(s) {
	case Table, JSON, IDs:
		*f = Form(s)
		return nil
	}
	return errors.New("use table, json or, for lists, ids")
}

// Type is the word for the value in the help.
func (f *Form) Type() string { return "form" }
