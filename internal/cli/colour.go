package cli

import (
	"os"

	"golang.org/x/term"
)

// colourful reports whether output may have colours: on a terminal that has
// them, unless NO_COLOR is set.
func (c *cli) colourful() bool {
	f, ok := c.Out.(*os.File)
	return ok && c.Env("NO_COLOR") == "" && c.Env("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// paint returns the name of a state, or of an outcome, in its colour.
func (c *cli) paint(state string) string {
	state = printable(state)
	if !c.colourful() {
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
