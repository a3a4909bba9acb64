package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Rows prints rows below their heads, in columns, each cell on one line. States
// have their colours.
func (p *Printer) Rows(w io.Writer, head string, rows [][]string) {
	if len(rows) == 0 {
		fmt.Fprintln(w, "nothing found")
		return
	}
	heads := strings.Fields(head)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range append([][]string{heads}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = Printable(cell); heads[i] == "STATE" {
				cells[i] = p.Paint(cell) // its head too: tabwriter counts the colours' bytes
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush()
}
