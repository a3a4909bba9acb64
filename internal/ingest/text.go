package ingest

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"weir"
)

// unescaped returns the text of what stands between the quotes of a string that
// the scanner took. Half of a surrogate pair is no text.
func unescaped(raw []byte) ([]byte, error) {
	i := bytes.IndexByte(raw, '\\')
	if i < 0 {
		return raw, nil
	}
	out := append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			out = append(out, single(raw[i+1]))
			i += 2
			continue
		}
		r := unit(raw[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
				return nil, errSurrogate()
			}
			if r = utf16.DecodeRune(r, unit(raw[i+2:])); r == utf8.RuneError {
				return nil, errSurrogate()
			}
			i += 6
		}
		out = utf8.AppendRune(out, r)
	}
	return out, nil
}

func errSurrogate() error {
	return weir.E("", weir.Invalid, "contains half of a surrogate pair")
}

// single returns what an escape of one character means.
func single(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// unit returns the UTF-16 unit that four hex digits write.
func unit(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 16) // the scanner has seen that they are
	return rune(n)
}

// clip bounds what is repeated of the input in errors and refusals.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return string(bytes.ToValidUTF8([]byte(s), []byte("?")))
}
