package show

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Standing is how far long work is. Of Total bytes, 0 where they are not known,
// Done are done; Units counts what the work is about, and Counts say what became
// of it.
type Standing struct {
	Name        string
	Done, Total int64
	Unit        string // "events"
	Units       int
	Counts      []Count
}

// Count is a word and how many: "refused 12".
type Count struct {
	Word string
	N    int
}

// Progress tells how far long work is: on a terminal on one line that is drawn
// anew, elsewhere on a line every five seconds. Several goroutines may use it.
type Progress struct {
	quiet bool // only notes
	live  bool
	width int
	began time.Time

	mu    sync.Mutex // guards what stands below
	out   io.Writer
	told  time.Time
	drawn bool // a live line stands
}

const (
	redraw  = 100 * time.Millisecond
	retell  = 5 * time.Second
	narrow  = 40 // a terminal that says less is not believed
	usual   = 120
	clearIt = "\r\x1b[K"
)

// NewProgress returns the progress of work that begins now, told to out.
func NewProgress(out io.Writer, env func(string) string, now time.Time) *Progress {
	p := &Progress{out: out, live: able(out, env), width: usual, began: now, told: now}
	if f, ok := out.(*os.File); ok && p.live {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= narrow {
			p.width = w
		}
	}
	return p
}

// NewQuiet returns a progress that tells notes alone.
func NewQuiet(out io.Writer) *Progress { return &Progress{quiet: true, out: out} }

// Tell tells where the work stands, if that was not told just before.
func (p *Progress) Tell(s Standing, now time.Time) {
	every := retell
	if p.live {
		every = redraw
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.quiet && now.Sub(p.told) >= every {
		p.tellLocked(s, now)
	}
}

// End tells where the work ended.
func (p *Progress) End(s Standing, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.tellLocked(s, now)
	if p.live {
		fmt.Fprintln(p.out)
		p.drawn = false
	}
}

func (p *Progress) tellLocked(s Standing, now time.Time) {
	p.told = now
	line := Printable(s.line(now.Sub(p.began)))
	if !p.live {
		fmt.Fprintln(p.out, line)
		return
	}
	p.drawn = true
	fmt.Fprint(p.out, clearIt+Clip(line, p.width-1))
}

// Note tells something else, on a line that stays.
func (p *Progress) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.out, clearIt)
		p.drawn = false
	}
	fmt.Fprintln(p.out, Printable(fmt.Sprintf(format, args...)))
}

// line is "events.ndjson  45 %  120.0 of 266.1 MiB  450,000 events  21,034/s
// taken 449,000  duplicates 0  refused 1,000  12s left".
func (s Standing) line(took time.Duration) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if s.Name != "" {
		add("%s", Clip(s.Name, 24))
	}
	switch {
	case s.Total > 0:
		add("%d %%", min(s.Done*100/s.Total, 100))
		add("%s of %s", size(s.Done), size(s.Total))
	case s.Done > 0:
		add("%s", size(s.Done))
	}
	if s.Unit != "" {
		add("%s %s", thousands(s.Units), s.Unit)
	}
	if s.Unit != "" && took >= time.Second {
		add("%s/s", thousands(int(float64(s.Units)/took.Seconds())))
	}
	for _, c := range s.Counts {
		add("%s %s", c.Word, thousands(c.N))
	}
	if left := s.left(took); left > 0 {
		add("%s left", left)
	}
	return strings.Join(parts, "  ")
}

// left guesses how long the rest takes, at the pace so far; 0 is not known.
func (s Standing) left(took time.Duration) time.Duration {
	if s.Done <= 0 || s.Total <= s.Done || took < time.Second {
		return 0
	}
	left := time.Duration(float64(took) * float64(s.Total-s.Done) / float64(s.Done))
	return max(left.Round(time.Second), time.Second)
}

// size writes bytes for people.
func size(n int64) string {
	for _, u := range []struct {
		word string
		n    int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.n {
			return strconv.FormatFloat(float64(n)/float64(u.n), 'f', 1, 64) + " " + u.word
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

// thousands writes "1,234,567".
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
