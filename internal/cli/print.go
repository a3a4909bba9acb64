package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"weir"
	"weir/client"
)

// show prints a value: as JSON where that is asked for, else as text does.
func (c *cli) show(v any, text func(w io.Writer)) error {
	var b bytes.Buffer // written as one, so that a full disk is told of
	if c.output == jsonFormat {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
	} else {
		text(&b)
	}
	_, err := b.WriteTo(c.Out)
	return err
}

// table prints rows below their heads, in columns, each cell on one line and
// without what could move the cursor of a terminal. States have their colours.
func (c *cli) table(w io.Writer, head string, rows [][]string) {
	if len(rows) == 0 {
		fmt.Fprintln(w, "nothing found")
		return
	}
	heads := strings.Fields(head)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range append([][]string{heads}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = printable(cell); heads[i] == "STATE" {
				cells[i] = c.paint(cell) // its head too: tabwriter counts the colours' bytes
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush()
}

// printable returns s on one line and without control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
}

// clip returns at most n runes of s, saying that it was cut.
func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// showPage prints a list as a table, and how to go on.
func showPage[T any](c *cli, page client.Page[T], head string, row func(T) []string) error {
	return c.show(page, func(w io.Writer) {
		c.table(w, head, rowsOf(page.Items, row))
		if page.Next != "" {
			fmt.Fprintf(w, "more: --after %s\n", page.Next)
		}
	})
}

func rowsOf[T any](items []T, row func(T) []string) [][]string {
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	return rows
}

// showing is how one thing is found by its name or id, and printed for people.
type showing[T any] struct {
	arg     string // what it is called in the usage: "UID"
	short   string
	long    string
	example string
	find    func(*client.Client, context.Context, string) (T, error)
	write   func(io.Writer, T)
}

// showCommand returns the command `show` of a noun.
func showCommand[T any](c *cli, s showing[T]) *cobra.Command {
	return &cobra.Command{
		Use:     "show " + s.arg,
		Short:   s.short,
		Long:    s.long,
		Example: s.example,
		Args:    exactly(s.arg),
		RunE: c.call(func(ctx context.Context, cl *client.Client, args []string) error {
			v, err := s.find(cl, ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(v, func(w io.Writer) { s.write(w, v) })
		}),
	}
}

// paging adds the flags of a list.
func paging(cmd *cobra.Command) *client.Paging {
	p := &client.Paging{Limit: 50}
	cmd.Flags().Var((*count)(&p.Limit), "limit", "how many at most; 1,000 is the most")
	cmd.Flags().StringVar(&p.After, "after", "", "go on where a list said more")
	return p
}

// count is the value of a flag that is a number above 0: the API takes 0 for
// one that was not given.
type count int

// String, Set and Type make a count the value of a flag.
func (n *count) String() string { return strconv.Itoa(int(*n)) }

func (n *count) Set(s string) error {
	i, err := strconv.Atoi(s)
	if err != nil || i < 1 {
		return errors.New("use a number above 0")
	}
	*n = count(i)
	return nil
}

func (n *count) Type() string { return "int" }

// since reads "2h", "3d" or an RFC 3339 time; "" is none.
func since(text string, now time.Time) (weir.Time, error) {
	if text == "" {
		return 0, nil
	}
	if d, err := weir.ParseDuration(text); err == nil && d >= 0 {
		return weir.TimeOf(now.Add(-d.Std())), nil
	}
	t, err := weir.ParseTime(text)
	if err != nil {
		return 0, weir.E("", weir.Invalid, "%q is neither a time such as 2026-01-31T09:30:00Z nor how long ago, such as 2h", text).WithField("--since")
	}
	return t, nil
}

// field prints a labelled line, unless the value is empty.
func field(w io.Writer, label, value string) {
	if value != "" {
		fmt.Fprintf(w, "%-12s%s\n", label, printable(value))
	}
}

// writeText prints what somebody else wrote, line by line; JSON is indented, and what
// is no text is only told of.
func writeText(w io.Writer, b []byte, contentType string) {
	var indented bytes.Buffer
	if weir.IsJSONType(contentType) && json.Indent(&indented, b, "", "  ") == nil {
		b = indented.Bytes()
	}
	if !utf8.Valid(b) {
		fmt.Fprintf(w, "%d bytes of %s\n", len(b), printable(contentType))
		return
	}
	for line := range strings.Lines(string(b)) {
		fmt.Fprintln(w, printable(strings.TrimRight(line, "\r\n")))
	}
}
