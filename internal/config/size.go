package config

import (
	"strconv"
	"strings"

	"weir"
)

// Size is a number of bytes that reads and writes as "64KiB" or "8MiB".
type Size int64

// The units of sizes.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var sizeUnits = []struct {
	suffix string
	size   Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// String returns the size in the largest unit in which it is whole.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.suffix
		}
	}
	return "0B"
}

// MarshalText writes String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a whole number with a unit; without one it is bytes.
func (s *Size) UnmarshalText(b []byte) error {
	text, unit := string(b), Size(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = number, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 || n > int64(1<<62)/int64(unit) {
		return weir.E("", weir.Invalid, "%q is not a size such as 512B, 64KiB or 8MiB", b)
	}
	*s = Size(n) * unit
	return nil
}
