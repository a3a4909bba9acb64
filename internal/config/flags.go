package config

import "github.com/spf13/pflag"

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
	for _, s := range c.settings() {
		given := fs.Lookup(s.flag())
		if s.secret || given == nil || !given.Changed {
			continue
		}
		if err := c.set(s, said(given.Value), "--"+s.flag()); err != nil {
			return err
		}
	}
	return c.Validate()
}

// said is the text that a flag was given; String of what has a password masks it.
func said(v pflag.Value) string {
	if p, ok := v.(parsed); ok {
		if masked, ok := p.value.(interface{ Reveal() string }); ok {
			return masked.Reveal()
		}
	}
	return v.String()
}
