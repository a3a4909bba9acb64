package config

import (
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

// Effective is a setting with its value, masked where it is secret, and what it
// is from: "default", a file's place such as "weir.yaml:3:9", a variable of the
// environment, or a flag.
type Effective struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Explain returns all settings in the order of docs/configuration.md.
func (c *Config) Explain() []Effective {
	all := make([]Effective, 0, 32)
	for _, s := range c.settings() {
		all = append(all, Effective{s.key, s.value.String(), c.from(s.key)})
	}
	return all
}

func (c *Config) from(key string) string {
	places := c.places[key]
	if len(places) == 0 {
		return "default"
	}
	return places[len(places)-1]
}

// Print writes the configuration as a file that Load reads, but for its
// secrets, which are masked, with what each value is from beside it.
func (c Config) Print(w io.Writer) error {
	from := yaml.CommentMap{}
	for _, s := range c.settings() {
		beside := yaml.LineComment
		if _, ok := s.value.(list); ok { // beside a list it would end in the key
			beside = func(text string) *yaml.Comment { return yaml.HeadComment(text) }
		}
		from["$."+s.key] = []*yaml.Comment{beside(" " + c.from(s.key))}
	}
	b, err := yaml.MarshalWithOptions(c, yaml.WithComment(from))
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	_, err = w.Write(b)
	return err
}

// Warnings tells of what is set and has no effect.
func (c *Config) Warnings() []string {
	var all []string
	warn := func(key, format string, args ...any) {
		if len(c.places[key]) == 0 {
			return
		}
		all = append(all, c.from(key)+": "+key+": has no effect: "+fmt.Sprintf(format, args...))
	}
	for _, s := range c.settings() {
		places := c.places[s.key]
		for i := range max(len(places)-1, 0) {
			all = append(all, fmt.Sprintf("%s: %s: has no effect: %s sets it, too", places[i], s.key, places[len(places)-1]))
		}
	}
	if !c.Database.IsZero() && !c.SecretKey.IsZero() {
		warn("data", "the database has everything, and secret_key the key of secrets")
	}
	l := &c.Limits
	if l.InlineData > l.EventData {
		warn("limits.inline_data", "no data is longer than limits.event_data, %s", l.EventData)
	}
	if l.Origin > l.WorkerSlots && c.Database.IsZero() {
		warn("limits.origin", "no more than limits.worker_slots, %d, are tried at once", l.WorkerSlots)
	}
	return all
}
