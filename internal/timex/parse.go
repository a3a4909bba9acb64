package timex

import (
	"fmt"
	"strconv"
	"strings"

	"weir"
)

// Parse reads `never`, or one of first, last, opened and joined, moved by any
// number of distances: `last + 1h`, `opened + 1d - 30s`, `first + 2 hours`. The
// error is a *SyntaxError.
func Parse(source string) (*Expr, error) {
	p := &parser{source: source}
	p.next()
	root, err := p.expression()
	if err != nil {
		return nil, err
	}
	return &Expr{source: source, root: root}, nil
}

// parser looks at one token at a time: a word, a number, or one character.
type parser struct {
	source string
	from   int // of the token
	to     int
}

func (p *parser) token() string { return p.source[p.from:p.to] }

func (p *parser) next() {
	p.from = p.to
	for p.from < len(p.source) && strings.IndexByte(" \t\n", p.source[p.from]) >= 0 {
		p.from++
	}
	p.to = p.from
	for p.to < len(p.source) && class(p.source[p.to]) == class(p.source[p.from]) {
		p.to++
		if class(p.source[p.from]) == other {
			break
		}
	}
}

// The classes of characters that make tokens.
const (
	other = iota
	digit
	letter
)

func class(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return digit
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80:
		return letter
	}
	return other
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{Offset: p.from, Text: p.token(), Message: fmt.Sprintf(format, args...)}
}

func (p *parser) expression() (node, error) {
	var root node
	switch word := p.token(); word {
	case "never":
		p.next()
		if p.token() != "" {
			return nil, p.fail("nothing may follow never, and here is %q", p.token())
		}
		return never{}, nil
	case "first", "last", "opened", "joined":
		root = variable(word)
		p.next()
	default:
		return nil, p.fail("expected first, last, opened, joined or never, and here is %s", p.shown())
	}
	for p.token() != "" {
		sign := weir.Time(1)
		switch p.token() {
		case "+":
		case "-":
			sign = -1
		default:
			return nil, p.fail("expected + or - and a duration, and here is %s", p.shown())
		}
		p.next()
		by, err := p.distance()
		if err != nil {
			return nil, err
		}
		root = shift{of: root, by: sign * by}
	}
	return root, nil
}

func (p *parser) shown() string {
	if p.token() == "" {
		return "the end"
	}
	return strconv.Quote(p.token())
}

// longest is the greatest distance, so that sums stay far from overflow.
const longest = 36500 * day

const (
	second = weir.Time(1_000_000)
	day    = 86400 * second
)

// distance reads numbers with units: 1h, 2h30m, 90 seconds.
func (p *parser) distance() (weir.Time, error) {
	var sum weir.Time
	for {
		if p.token() == "" || class(p.token()[0]) != digit {
			return 0, p.fail("expected a duration such as 1h, 90s or 2h30m, and here is %s", p.shown())
		}
		n, err := strconv.ParseInt(p.token(), 10, 64)
		if err != nil || weir.Time(n) > longest {
			return 0, p.fail("%s is too large", p.token())
		}
		p.next()
		unit := unitOf(p.token())
		if unit == 0 {
			return 0, p.fail("expected a unit: ms, s, m, h, d or w, and here is %s", p.shown())
		}
		if weir.Time(n) > longest/unit || sum > longest-weir.Time(n)*unit {
			return 0, p.fail("a duration is 100 years at most")
		}
		sum += weir.Time(n) * unit
		p.next()
		if p.token() == "" || class(p.token()[0]) != digit {
			return sum, nil
		}
	}
}

// unitOf returns the length of a unit, or 0.
func unitOf(word string) weir.Time {
	if len(word) > 3 {
		word = strings.TrimSuffix(word, "s")
	}
	switch word {
	case "ms", "millisecond":
		return second / 1000
	case "s", "sec", "second":
		return second
	case "m", "min", "minute":
		return weir.Minute
	case "h", "hour":
		return 60 * weir.Minute
	case "d", "day":
		return day
	case "w", "week":
		return 7 * day
	}
	return 0
}
