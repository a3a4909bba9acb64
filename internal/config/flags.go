package config

import (
	"github.com/spf13/pflag"

	"weir"
)

// Flags binds every setting but the secrets, which others on the machine would
// see, to a flag; the values of c are the defaults shown.
func (c *Config) Flags(fs *pflag.FlagSet) {
	for _, s := range c.settings() {
		if !s.secret {
			fs.Var(s.value, s.flag(), s.usage)
		}
	}
}

// Override sets what was given as a flag on fs, to which Flags of another
// Config bound the settings, and validates the whole.
func (c *Config) Override(fs *pflag.FlagSet) error {
	where := map[string]string{}
	for _, s := range c.settings() {
		given := fs.Lookup(s.flag())
		if s.secret || given == nil || !given.Changed {
			continue
		}
		where[s.key] = "--" + s.flag()
		if err := s.set(given.Value.String(), where[s.key]); err != nil {
			return err
		}
	}
	return at(where, c.validate())
}

// at puts the place of a setting that is at fault before its error.
func at(where map[string]string, e *weir.Error) error {
	if e == nil {
		return nil
	}
	if place, ok := where[e.Field]; ok {
		e.Op = place
	}
	return e
}
