package config

import (
	"encoding"
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"weir"
)

// setting is one value of a Config with its names.
type setting struct {
	key    string // in the file: "limits.event_data"
	usage  string
	value  pflag.Value
	secret bool
}

// settings is the table of all settings, bound to c.
func (c *Config) settings() []setting {
	l := &c.Limits
	return []setting{
		{key: "data", value: text(&c.Data), usage: "`directory` of journal and state"},
		{key: "database", value: parsed{&c.Database}, usage: "`address` of the PostgreSQL that keeps them instead, for several processes: postgres://…"},
		{key: "listen", value: text(&c.Listen), usage: "`host:port` of the HTTP API"},
		{key: "node", value: text(&c.Node), usage: "`name` of this process among others"},
		{key: "duties", value: &duties{list: &c.Duties}, usage: "what this process does, `a,b`: api, dispatch, work, upkeep"},
		{key: "retention", value: parsed{&c.Retention}, usage: "`time` for which projects that say nothing else keep what happened"},
		{key: "dedup_window", value: parsed{&c.DedupWindow}, usage: "`time` for which an event is known, so that the same is a duplicate"},
		{key: "drain_delay", value: parsed{&c.DrainDelay}, usage: "`time` that a stop goes on answering while it says that it is not ready"},
		{key: "secret_key", value: parsed{&c.SecretKey}, secret: true},
		{
			key: allowKey, value: &networks{list: &c.AllowDestinations},
			usage: "`network` that steps may call although it is not public; may be given again, or as a,b",
		},
		{key: "log.level", value: text(&c.Log.Level), usage: "debug, info, warn or error"},
		{key: "log.format", value: text(&c.Log.Format), usage: "text or json"},
		{key: "limits.event_data", value: parsed{&l.EventData}, usage: "largest data of one event"},
		{key: "limits.inline_data", value: parsed{&l.InlineData}, usage: "largest data that is kept in the journal and not as a blob"},
		{key: "limits.body", value: parsed{&l.Body}, usage: "largest request with events, but for lines and files"},
		{key: "limits.batch_events", value: number(&l.BatchEvents), usage: "most events in a request, but for lines"},
		{key: "limits.chunk_lines", value: number(&l.ChunkLines), usage: "most lines of an upload that are taken together"},
		{key: "limits.file", value: parsed{&l.File}, usage: "largest uploaded file"},
		{key: "limits.form_files", value: number(&l.FormFiles), usage: "most files in a form"},
		{key: "limits.form_fields", value: parsed{&l.FormFields}, usage: "largest other fields of a form, together"},
		{key: "limits.in_flight", value: parsed{&l.InFlight}, usage: "most memory for requests of publishers at once"},
		{key: "limits.hooks_in_flight", value: parsed{&l.HooksInFlight}, usage: "most memory for webhooks at once"},
		{key: "limits.step_timeout", value: parsed{&l.StepTimeout}, usage: "time of a step that sets none"},
		{key: "limits.run_log", value: parsed{&l.RunLog}, usage: "largest log of one try"},
		{key: "limits.worker_slots", value: number(&l.WorkerSlots), usage: "most runs tried at once by this node"},
		{key: "limits.origin", value: number(&l.Origin), usage: "most runs of a project at one origin at once"},
		{key: "limits.streams", value: number(&l.Streams), usage: "most streams open at once"},
		{key: "admin.token", value: parsed{&c.Admin.Token}, secret: true},
	}
}

const allowKey = "allow_destinations"

// flag returns the setting's name as a flag: "limits-event-data".
func (s setting) flag() string {
	if s.key == allowKey {
		return "allow-destination" // given once for each
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
}

// env returns the setting's name in the environment: "WEIR_LIMITS_EVENT_DATA".
func (s setting) env() string {
	return "WEIR_" + strings.ToUpper(strings.ReplaceAll(s.flag(), "-", "_"))
}

// set sets a setting to a text from a place: "weir.yaml:3:9", "WEIR_LISTEN", "--listen".
func (c *Config) set(s setting, text, place string) error {
	if c.places == nil {
		c.places = map[string][]string{}
	}
	c.places[s.key] = append(c.places[s.key], place)
	err := s.value.Set(text)
	if err == nil {
		return nil
	}
	e := invalid(s.key, "%w", err)
	if inner, ok := errors.AsType[*weir.Error](err); ok {
		e.Message = inner.Message
	}
	e.Op = place
	return e
}

func invalid(key, format string, args ...any) *weir.Error {
	return weir.E("", weir.Invalid, format, args...).WithField(key)
}

// stringValue, intValue, parsed and networks are the kinds of values.
type stringValue string

func text(p *string) *stringValue { return (*stringValue)(p) }

func (s *stringValue) Set(text string) error { *s = stringValue(text); return nil }
func (s *stringValue) String() string        { return string(*s) }
func (s *stringValue) Type() string          { return "string" }

type intValue int

func number(p *int) *intValue { return (*intValue)(p) }

func (n *intValue) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil {
		return weir.E("", weir.Invalid, "%q is not a whole number", text)
	}
	*n = intValue(v)
	return nil
}
func (n *intValue) String() string { return strconv.Itoa(int(*n)) }
func (n *intValue) Type() string   { return "number" }

// parsed is a value that reads itself: a size, a duration, a secret.
type parsed struct {
	value interface {
		encoding.TextUnmarshaler
		String() string
	}
}

func (p parsed) Set(text string) error { return p.value.UnmarshalText([]byte(text)) }
func (p parsed) String() string        { return p.value.String() }

// Type returns the word for the value in the list of flags.
func (p parsed) Type() string {
	if _, ok := p.value.(*Size); ok {
		return "size"
	}
	return "duration"
}
