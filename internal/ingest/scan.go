package ingest

import (
	"encoding/binary"
	"unicode/utf8"

	"weir"
)

// MaxDepth is how deep arrays and objects may stand in one another.
const MaxDepth = 128

// scanner walks over JSON from front to back, once, and builds nothing. It
// takes what RFC 8259 takes. That the bytes are UTF-8 is checked before.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) fail(want string) *weir.Error {
	if s.i >= len(s.b) {
		return weir.E("", weir.Invalid, "not JSON: it ends at byte %d, where %s was expected", s.i, want)
	}
	return weir.E("", weir.Invalid, "not JSON: at byte %d stands %q, where %s was expected", s.i, s.b[s.i], want)
}

// checkUTF8 fails at the first byte that is not UTF-8.
func checkUTF8(b []byte) error {
	if utf8.Valid(b) {
		return nil
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return weir.E("", weir.Invalid, "not valid UTF-8 at byte %d", i)
		}
		i += n
	}
	return nil
}

// space moves to the next byte that is no white space, and returns it; 0 is
// the end.
func (s *scanner) space() byte {
	for ; s.i < len(s.b); s.i++ {
		if c := s.b[s.i]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// take moves over c, which must be next.
func (s *scanner) take(c byte, want string) error {
	if s.space() != c {
		return s.fail(want)
	}
	s.i++
	return nil
}

// end requires that nothing follows.
func (s *scanner) end() error {
	s.space()
	if s.i < len(s.b) {
		return s.fail("nothing more")
	}
	return nil
}

// value moves over one value. Depth is how deep it may yet go.
func (s *scanner) value(depth int) error {
	switch c := s.space(); {
	case c == '"':
		_, err := s.text()
		return err
	case c == '{' || c == '[':
		if depth == 0 {
			return weir.E("", weir.Invalid, "JSON is deeper than %d at byte %d", MaxDepth, s.i)
		}
		if c == '{' {
			return s.object(depth - 1)
		}
		return s.array(depth - 1)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.fail("a value")
}

func (s *scanner) object(depth int) error {
	s.i++
	if s.space() == '}' {
		s.i++
		return nil
	}
	for {
		if s.space() != '"' {
			return s.fail("a name")
		}
		if _, err := s.text(); err != nil {
			return err
		}
		if err := s.take(':', "a colon"); err != nil {
			return err
		}
		if err := s.value(depth); err != nil {
			return err
		}
		if more, err := s.more('}'); !more {
			return err
		}
	}
}

func (s *scanner) array(depth int) error {
	s.i++
	if s.space() == ']' {
		s.i++
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

// more moves over a comma, and says that more follows, or over the end.
func (s *scanner) more(end byte) (bool, error) {
	switch s.space() {
	case ',':
		s.i++
		return true, nil
	case end:
		s.i++
		return false, nil
	}
	return false, s.fail("a comma or the end of the list")
}

func (s *scanner) literal(word string) error {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail("a value")
	}
	s.i += len(word)
	return nil
}

func (s *scanner) number() error {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		return s.digits()
	}
	return nil
}

func (s *scanner) digits() error {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	if s.i == from {
		return s.fail("a digit")
	}
	return nil
}

// text moves over a string and returns what stands between its quotes, escapes
// and all.
func (s *scanner) text() ([]byte, error) {
	s.i++
	from := s.i
	for {
		s.plain()
		if s.i >= len(s.b) {
			return nil, s.fail("a quote")
		}
		switch s.b[s.i] {
		case '"':
			s.i++
			return s.b[from : s.i-1], nil
		case '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		default:
			return nil, s.fail("an escape, as in a string every control character must be one,")
		}
	}
}

// plain moves to the next quote, backslash or control character, eight bytes
// at a time: in each word, the high bit of a byte is set where one of the three
// is found, and perhaps behind it.
func (s *scanner) plain() {
	const lows, highs = 0x0101010101010101, 0x8080808080808080
	for s.i+8 <= len(s.b) {
		w := binary.LittleEndian.Uint64(s.b[s.i:])
		quote, slash := w^lows*'"', w^lows*'\\'
		found := (quote-lows)&^quote | (slash-lows)&^slash | (w-lows*0x20)&^w
		if found&highs != 0 {
			break
		}
		s.i += 8
	}
	for s.i < len(s.b) {
		if c := s.b[s.i]; c == '"' || c == '\\' || c < 0x20 {
			return
		}
		s.i++
	}
}

func (s *scanner) escape() error {
	s.i++
	if s.i >= len(s.b) {
		return s.fail("an escape")
	}
	switch s.b[s.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return nil
	case 'u':
		s.i++
		for range 4 {
			if s.i >= len(s.b) || !isHex(s.b[s.i]) {
				return s.fail("a hex digit")
			}
			s.i++
		}
		return nil
	}
	return s.fail("an escape")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
