package config

import (
	"fmt"
	"io"
	"log/slog"
)

const masked = "***"

// Secret is a value that is not shown: whatever prints or encodes it writes
// "***", or nothing where none is set. The zero value is none.
type Secret struct {
	// A pointer, so that printing a struct that holds a Secret in an unexported
	// field, where no method is called, shows an address.
	text *string
}

// NewSecret returns a secret; that of "" is none.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the value itself, "" for none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether no secret is set.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal reports whether both hold the same value.
func (s Secret) Equal(o Secret) bool { return s.Reveal() == o.Reveal() }

// String returns "***", or "" for none.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return masked
}

// Format writes String for every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue makes slog write String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText makes JSON and YAML write String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the value.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}
