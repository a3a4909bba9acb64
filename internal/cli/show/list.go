package show

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"weir"
	"weir/client"
)

// List says how the items of a list are printed: in columns below Head, or by
// their IDs alone. Without ID a list has none.
type List[T any] struct {
	Head string
	Row  func(T) []string
	ID   func(T) string
}

// Asked is how much of a list is wanted: Limit items after the place After, or
// All of them.
type Asked struct {
	Limit int
	After string
	All   bool
}

const maxPage = 1000 // the API's

// Pages reads a list page by page and prints each as it comes, so that a long
// list is not held in memory: tables one below the other, JSON as documents, each
// what the API answered. Where there is more it says how to go on.
func Pages[T any](p *Printer, l List[T], a Asked, read func(client.Paging) (client.Page[T], error)) error {
	if p.Form == IDs && l.ID == nil {
		return weir.E("", weir.Invalid, "this list has no ids: use table or json").WithField("--output")
	}
	for {
		ask := client.Paging{Limit: maxPage, After: a.After}
		if !a.All {
			ask.Limit = min(ask.Limit, a.Limit)
		}
		page, err := read(ask)
		if err != nil {
			return err
		}
		a.Limit -= len(page.Items)
		goesOn := page.Next != "" && (a.All || a.Limit > 0 && len(page.Items) == ask.Limit)
		if err := printPage(p, l, page, goesOn); err != nil {
			return err
		}
		if page.Looked != nil && !goesOn {
			p.Note("looked at %s records, back to %s", thousands(page.Looked.Records), page.Looked.BackTo)
		}
		if !goesOn {
			return nil
		}
		a.After = page.Next
	}
}

func printPage[T any](p *Printer, l List[T], page client.Page[T], goesOn bool) error {
	more := ""
	if page.Next != "" && !goesOn {
		more = fmt.Sprintf("more: --after %s\n", Printable(page.Next))
	}
	if p.Form != IDs {
		return p.Value(page, func(w io.Writer) {
			if len(page.Items) > 0 || !goesOn {
				p.Rows(w, l.Head, rowsOf(page.Items, l.Row))
			}
			_, _ = io.WriteString(w, more)
		})
	}
	var b bytes.Buffer
	for _, item := range page.Items {
		fmt.Fprintln(&b, Printable(l.ID(item)))
	}
	_, _ = io.WriteString(p.Notes, more)
	_, err := b.WriteTo(p.Out)
	return err
}

// Item prints an item of a list alone, on one line: as it happens.
func Item[T any](p *Printer, l List[T], v T) error {
	if p.Form == JSON {
		return p.Line(v)
	}
	if p.Form == IDs {
		_, err := fmt.Fprintln(p.Out, Printable(l.ID(v)))
		return err
	}
	cells := l.Row(v)
	for i, head := range strings.Fields(l.Head) {
		if cells[i] = Printable(cells[i]); head == "STATE" {
			cells[i] = p.Paint(cells[i])
		}
	}
	_, err := fmt.Fprintln(p.Out, strings.Join(cells, "  "))
	return err
}

func rowsOf[T any](items []T, row func(T) []string) [][]string {
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	return rows
}
