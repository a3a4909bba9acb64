package config

import (
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"

	"weir"
)

// Load returns the defaults, overridden by the YAML file at path and then by
// what env returns for WEIR_* names, "" being nothing. Without a path
// WEIR_CONFIG names the file; without either there is none. Errors have the
// code Invalid, and say the file and line, or the name of the variable.
func Load(path string, env func(string) string) (Config, error) {
	c := Default()
	where := map[string]string{} // key -> place that set it
	if path == "" {
		path = env("WEIR_CONFIG")
	}
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, weir.E("load configuration", weir.Invalid, "%w", err)
		}
		if err := c.file(path, b, where); err != nil {
			return c, err
		}
	}
	for _, s := range c.settings() {
		text := env(s.env())
		if text == "" {
			continue
		}
		where[s.key] = s.env()
		if err := s.set(text, s.env()); err != nil {
			return c, err
		}
	}
	return c, at(where, c.validate())
}

// Print writes the configuration as a file that Load reads, but for its
// secrets, which are masked.
func (c Config) Print(w io.Writer) error {
	b, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	_, err = w.Write(b)
	return err
}
