package show

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Terminal is an output that says itself whether it is a terminal.
type Terminal interface {
	io.Writer
	IsTerminal() bool
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	if t, ok := w.(Terminal); ok {
		return t.IsTerminal()
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// able reports whether w is a terminal that can do more than print: not a dumb one.
func able(w io.Writer, env func(string) string) bool { return env("TERM") != "dumb" && IsTerminal(w) }

// Paint returns the name of a state, or of an outcome, in its colour: on a
// terminal that has colours, unless NO_COLOR is set.
func (p *Printer) Paint(state string) string {
	state = Printable(state)
	if p.Env("NO_COLOR") != "" || !able(p.Out, p.Env) {
		return state
	}
	return "\x1b[" + hue(state) + "m" + state + "\x1b[0m"
}

// hue returns the code of a state's colour: two digits for each, so that painted
// columns stay aligned.
func hue(state string) string {
	switch state {
	case "succeeded":
		return "32" // green
	case "dead", "died":
		return "31" // red
	case "retrying", "held", "lost":
		return "33" // yellow
	case "running":
		return "36" // cyan
	case "cancelled", "purged", "stale":
		return "90" // grey
	}
	return "39" // the terminal's own
}
