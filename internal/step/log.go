package step

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"weir"
)

// MaxLog is how many bytes of a run's log are kept where nothing else is set.
const MaxLog = 64 << 10

const cutLine = 64 // room for the line that says what was cut

// Log collects the lines of one try. It keeps the first and the last of them,
// each half of Max, and says what it cut between them. It is used by one
// goroutine at a time; the zero value is an empty log.
type Log struct {
	Max int // bytes kept; 0: MaxLog
	// Mask, where set, takes the secrets out of a text before any of it is
	// kept.
	Mask func(string) string

	head []byte
	tail []byte // up to twice as long as is kept of it
	cut  int
}

// Write appends a line: the time, the level and the text. Further lines of the
// text are indented, so that they cannot be taken for lines of the log.
func (l *Log) Write(now time.Time, level, text string) {
	l.line(now, level, l.masked(text))
}

// Excerpt appends a line with a text of which only the first n bytes are kept.
func (l *Log) Excerpt(now time.Time, level, text string, n int) {
	text = l.masked(text)
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "") + "…"
	}
	l.line(now, level, text)
}

func (l *Log) masked(text string) string {
	if l.Mask == nil {
		return text
	}
	return l.Mask(text)
}

func (l *Log) line(now time.Time, level, text string) {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
	l.add(weir.TimeOf(now).String() + " " + level + " " + text + "\n")
}

// halves returns how much of the log's beginning and end is kept.
func (l *Log) halves() (head, tail int) {
	half := cmp.Or(l.Max, MaxLog) / 2
	return half, max(half-cutLine, 0)
}

func (l *Log) add(s string) {
	logHead, logTail := l.halves()
	if l.tail == nil && len(l.head)+len(s) <= logHead {
		l.head = append(l.head, s...)
		return
	}
	if l.tail == nil {
		n := logHead - len(l.head)
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		l.head, s = append(l.head, s[:n]...), s[n:]
	}
	l.tail = append(l.tail, s...)
	if extra := len(l.tail) - logTail; extra > logTail {
		l.drop(extra)
	}
}

// drop forgets at least the first n bytes of the tail, up to a whole character.
func (l *Log) drop(n int) {
	for n < len(l.tail) && !utf8.RuneStart(l.tail[n]) {
		n++
	}
	l.cut += n
	l.tail = append(l.tail[:0], l.tail[n:]...)
}

// String returns the log, at most Max bytes.
func (l *Log) String() string {
	_, logTail := l.halves()
	if extra := len(l.tail) - logTail; extra > 0 {
		l.drop(extra)
	}
	if l.cut == 0 {
		return string(l.head) + string(l.tail)
	}
	return string(l.head) + fmt.Sprintf("\n… %d bytes cut …\n", l.cut) + string(l.tail)
}
