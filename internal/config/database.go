package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"

	"weir"
)

// Database is the address of a PostgreSQL, such as postgres://weir:…@host/weir.
// Whatever prints or encodes it masks the password. The zero value is none.
type Database struct{ secret Secret }

// NewDatabase returns the database at an address; that of "" is none.
func NewDatabase(address string) Database { return Database{NewSecret(address)} }

// Reveal returns the address itself, with its password.
func (d Database) Reveal() string { return d.secret.Reveal() }

// IsZero reports whether there is none.
func (d Database) IsZero() bool { return d.secret.IsZero() }

// Equal reports whether both are at one address.
func (d Database) Equal(o Database) bool { return d.secret.Equal(o.secret) }

// String returns the address with its password masked; what is no address is
// masked whole.
func (d Database) String() string {
	u, err := d.parse()
	if err != nil {
		return d.secret.String()
	}
	q := u.Query()
	for name := range q {
		if name == "password" || name == "sslpassword" {
			q.Set(name, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}

// Format writes String for every verb of package fmt.
func (d Database) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// LogValue makes slog write String.
func (d Database) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText makes JSON and YAML write String.
func (d Database) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the address. Validate says whether it is one, without
// repeating it.
func (d *Database) UnmarshalText(b []byte) error {
	*d = NewDatabase(string(b))
	return nil
}

func (d Database) parse() (*url.URL, *weir.Error) {
	u, err := url.Parse(d.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" || len(u.Path) < 2 {
		return nil, invalid("database", "is not of the form postgres://USER:PASSWORD@HOST:PORT/NAME")
	}
	return u, nil
}

// DrainDelay is a time, or one that goes by the engine.
type DrainDelay struct {
	given bool
	time  weir.Duration
}

// Delay returns a DrainDelay of d.
func Delay(d weir.Duration) DrainDelay { return DrainDelay{true, d} }

// Drain returns how long a stop goes on answering while it says that it is not
// ready: where nothing is said, two seconds with a database, so that who spreads
// requests over the nodes sees it, and none for a process that is alone.
func (c *Config) Drain() weir.Duration {
	switch {
	case c.DrainDelay.given:
		return c.DrainDelay.time
	case c.Database.IsZero():
		return 0
	}
	return 2_000_000_000
}

const auto = "auto"

// String returns the time, or "auto".
func (d DrainDelay) String() string {
	if !d.given {
		return auto
	}
	return d.time.String()
}

// MarshalText writes String.
func (d DrainDelay) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what String writes.
func (d *DrainDelay) UnmarshalText(b []byte) error {
	*d = DrainDelay{}
	if string(b) == auto {
		return nil
	}
	d.given = true
	return d.time.UnmarshalText(b)
}
