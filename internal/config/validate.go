package config

import (
	"cmp"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"time"

	"weir"
)

// Validate returns an Invalid error that names the first setting at fault by
// its key in the file, and the place that set it, or nil.
func (c *Config) Validate() error {
	e := c.validate()
	if e == nil {
		return nil
	}
	if places := c.places[e.Field]; len(places) > 0 {
		e.Op = places[len(places)-1]
	}
	return e
}

func (c *Config) validate() *weir.Error {
	for _, check := range []func() *weir.Error{c.validateServer, c.validateLimits, c.validateAdmin} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateServer() *weir.Error {
	switch {
	case c.Data == "":
		return invalid("data", "names no directory")
	case !isNodeName(c.Node):
		return invalid("node", "%q is not a name of at most 63 letters, digits, '-', '_' and '.'", c.Node)
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return invalid("listen", "%q is not of the form host:port", c.Listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return invalid("listen", "%q is not a port from 0 to 65535", port)
	}
	return cmp.Or(
		c.validateNode(),
		c.validateRetention(),
		between("drain_delay", c.Drain(), 0, weir.Duration(10*time.Minute)),
		oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error"),
		oneOf("log.format", c.Log.Format, "text", "json"),
	)
}

// validateNode checks what makes a process one of several.
func (c *Config) validateNode() *weir.Error {
	switch {
	case len(c.Duties) == 0:
		return invalid("duties", "names none of %s", join(AllDuties()))
	case c.Database.IsZero() && len(c.Duties) < len(AllDuties()):
		return invalid("duties", "the embedded engine is one process, which has all duties: %s; several processes need a database", join(AllDuties()))
	}
	if key := c.SecretKey.Reveal(); key != "" && !isHex(key, 64) {
		return invalid("secret_key", "is not 64 hex digits")
	}
	if c.Database.IsZero() {
		return nil
	}
	_, err := c.Database.parse()
	return err
}

const day = 24 * time.Hour

// validateRetention checks how long things are kept. An identity that is known
// must be on record.
func (c *Config) validateRetention() *weir.Error {
	if err := cmp.Or(
		between("dedup_window", c.DedupWindow, weir.Duration(time.Hour), weir.Duration(90*day)),
		between("retention", c.Retention, weir.Duration(day), weir.Duration(36500*day)),
	); err != nil {
		return err
	}
	if c.Retention < c.DedupWindow {
		return invalid("retention", "%s is less than dedup_window, %s", c.Retention, c.DedupWindow)
	}
	return nil
}

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits
}

func (c *Config) validateLimits() *weir.Error {
	l := &c.Limits
	const second, hour = weir.Duration(time.Second), weir.Duration(time.Hour)
	if err := cmp.Or(
		between("limits.event_data", l.EventData, 1*KiB, 16*MiB),
		between("limits.body", l.Body, 1*KiB, 64*MiB),
		between("limits.inline_data", l.InlineData, 1*KiB, 16*MiB),
		between("limits.batch_events", l.BatchEvents, 1, 10_000),
		between("limits.chunk_lines", l.ChunkLines, 1, 10_000),
		between("limits.file", l.File, 1*KiB, 10*GiB),
		between("limits.form_files", l.FormFiles, 1, 1000),
		between("limits.form_fields", l.FormFields, 1*KiB, 1*MiB),
		between("limits.in_flight", l.InFlight, 1*MiB, 1024*GiB),
		between("limits.hooks_in_flight", l.HooksInFlight, 1*MiB, 1024*GiB),
		between("limits.step_timeout", l.StepTimeout, second/1000, 24*hour),
		between("limits.run_log", l.RunLog, 1*KiB, 1*MiB),
		between("limits.worker_slots", l.WorkerSlots, 1, 100_000),
		between("limits.origin", l.Origin, 1, 100_000),
		between("limits.streams", l.Streams, 1, 100_000),
	); err != nil {
		return err
	}
	if l.Body < l.EventData {
		return invalid("limits.body", "%s is less than limits.event_data, %s", l.Body, l.EventData)
	}
	if l.InFlight < 2*l.Body {
		return invalid("limits.in_flight", "%s is less than two of limits.body, %s", l.InFlight, l.Body)
	}
	if l.HooksInFlight < 2*l.Body {
		return invalid("limits.hooks_in_flight", "%s is less than two of limits.body, %s", l.HooksInFlight, l.Body)
	}
	return nil
}

func (c *Config) validateAdmin() *weir.Error {
	const shortest = 16
	if c.Admin.Token.IsZero() {
		return nil
	}
	rest, ok := strings.CutPrefix(c.Admin.Token.Reveal(), "weir_")
	if !ok || len(rest) < shortest || strings.ContainsFunc(rest, func(r rune) bool { return !isNameRune(r) }) {
		return invalid("admin.token", "is not weir_ and at least %d letters, digits, '-', '_' or '.'", shortest)
	}
	return nil
}

func oneOf(key, value string, words ...string) *weir.Error {
	for _, w := range words {
		if value == w {
			return nil
		}
	}
	return invalid(key, "%q is none of %s", value, strings.Join(words, ", "))
}

func between[T cmp.Ordered](key string, value, least, most T) *weir.Error {
	if value < least || value > most {
		return invalid(key, "%v is not from %v to %v", value, least, most)
	}
	return nil
}

func isNodeName(s string) bool {
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) })
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}
