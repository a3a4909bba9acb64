package weir

import (
	"strconv"
	"strings"
	"time"
)

// Time is an instant in microseconds since 1970-01-01 UTC, the only form in
// which Weir stores times. Zero means "none".
type Time int64

// TimeOf converts t, cutting what is finer than a microsecond.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns t moved by d, which may be negative.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Microsecond) }

// Sub returns how long t is after u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// IsZero reports whether t is "none"; encoding/json's omitzero asks it.
func (t Time) IsZero() bool { return t == 0 }

const timeLayout = "2006-01-02T15:04:05.000000Z"

// String returns RFC 3339 in UTC with six digits of the second, or "" for none.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Std().Format(timeLayout)
}

// MarshalText makes Time a JSON string; none is "".
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads RFC 3339 with any zone and precision; "" is none.
func (t *Time) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*t = 0
		return nil
	}
	v, err := ParseTime(string(b))
	if err != nil {
		return err
	}
	*t = v
	return nil
}

// ParseTime reads an RFC 3339 instant.
func ParseTime(s string) (Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, E("parse time", Invalid, "%s is not an RFC 3339 time such as 2026-01-31T09:30:00Z", strconv.Quote(s))
	}
	return TimeOf(t), nil
}

// Duration is a time.Duration that reads and writes as "250ms", "5s", "1h30m"
// or "7d" in definitions and API answers.
type Duration time.Duration

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the shortest form that ParseDuration reads back.
func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	if d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := time.Duration(d).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if len(s) > len(zero) && s[len(s)-len(zero):] == zero {
			s = s[:len(s)-2]
		}
	}
	return s
}

// MarshalText writes String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	*d = v
	return err
}

// ParseDuration reads Go's durations and, in front of them, whole days: "7d",
// "1d12h".
func ParseDuration(s string) (Duration, error) {
	rest, days := s, int64(0)
	for i := range len(s) {
		if s[i] == 'd' {
			n, err := strconv.ParseInt(s[:i], 10, 32)
			if err != nil {
				break
			}
			days, rest = n, s[i+1:]
			break
		}
		if s[i] < '0' || s[i] > '9' {
			break
		}
	}
	var d time.Duration
	if rest != "" || days == 0 {
		v, err := time.ParseDuration(rest)
		if err != nil {
			return 0, E("parse duration", Invalid, "%s is not a duration such as 250ms, 5s, 1h30m or 7d", strconv.Quote(s))
		}
		d = v
	}
	if days > 0 && (rest != "" && (rest[0] == '-' || rest[0] == '+') || days > 100_000) {
		return 0, E("parse duration", Invalid, "%s is not a duration such as 250ms, 5s, 1h30m or 7d", strconv.Quote(s))
	}
	return Duration(time.Duration(days)*24*time.Hour + d), nil
}

// Rate is how many of something may happen in a time: "50/s", "100/m", "10/h".
// The zero value is no bound.
type Rate struct {
	N   int
	Per time.Duration
}

// rateUnits are the times that a rate can be for.
var rateUnits = [...]struct {
	unit string
	per  time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}}

// IsZero reports whether r bounds nothing.
func (r Rate) IsZero() bool { return r.N == 0 }

// String returns what ParseRate reads, or "" for no bound.
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r.N > 0 && r.Per == u.per {
			return strconv.Itoa(r.N) + "/" + u.unit
		}
	}
	return ""
}

// MarshalText writes String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what ParseRate reads.
func (r *Rate) UnmarshalText(b []byte) error {
	v, err := ParseRate(string(b))
	*r = v
	return err
}

// ParseRate reads a whole number of 1 to 1,000,000, a slash, and s, m or h.
func ParseRate(s string) (Rate, error) {
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(number)
	for _, u := range rateUnits {
		if err == nil && n >= 1 && n <= 1_000_000 && unit == u.unit {
			return Rate{n, u.per}, nil
		}
	}
	return Rate{}, E("parse rate", Invalid, "%s is not a rate such as 50/s, 100/m or 10/h", strconv.Quote(s))
}
