package config

import (
	"os"

	"weir"
)

// Load returns the defaults, overridden by the YAML file at path and then by
// what env returns for WEIR_* names, "" being nothing. Without a path
// WEIR_CONFIG names the file; without either there is none. Errors have the
// code Invalid, and say the file and line, or the name of the variable.
func Load(path string, env func(string) string) (Config, error) {
	c := Default()
	if path == "" {
		path = env("WEIR_CONFIG")
	}
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, weir.E("load configuration", weir.Invalid, "%w", err)
		}
		if err := c.file(path, b); err != nil {
			return c, err
		}
	}
	for _, s := range c.settings() {
		text := env(s.env())
		if text == "" {
			continue
		}
		if err := c.set(s, text, s.env()); err != nil {
			return c, err
		}
	}
	return c, c.Validate()
}
