package weir

import "encoding/json"

// Pipeline is a named list of steps applied to a batch. JSON is the form in
// which definitions are stored.
type Pipeline struct {
	Name        string       `json:"-"`
	Steps       []Step       `json:"steps"`
	Retry       Retry        `json:"retry"`
	Timeout     Duration     `json:"timeout,omitempty"` // of one try; 0: the steps' own bounds only
	Concurrency *Concurrency `json:"concurrency,omitempty"`
	Rate        Rate         `json:"rate,omitzero"`        // of starts of tries
	OnFailure   string       `json:"on_failure,omitempty"` // the pipeline that runs when a run of this one died
}

// Step is one step: exactly one of the pointers is set.
type Step struct {
	Filter    *FilterStep    `json:"filter,omitempty"`
	Transform *TransformStep `json:"transform,omitempty"`
	JQ        *JQStep        `json:"jq,omitempty"`
	HTTP      *HTTPStep      `json:"http,omitempty"`
	Emit      *EmitStep      `json:"emit,omitempty"`
	Log       *LogStep       `json:"log,omitempty"`
}

// Kind returns the step's word in project files.
func (s *Step) Kind() string {
	switch {
	case s.Filter != nil:
		return "filter"
	case s.Transform != nil:
		return "transform"
	case s.JQ != nil:
		return "jq"
	case s.HTTP != nil:
		return "http"
	case s.Emit != nil:
		return "emit"
	case s.Log != nil:
		return "log"
	}
	return ""
}

// Acts reports whether the step reaches outside of the run, so that it is not
// done again once it had its effect.
func (s *Step) Acts() bool { return s.Filter == nil && s.Transform == nil && s.JQ == nil }

// FilterStep keeps the events of the batch for which the CEL expression holds.
type FilterStep struct {
	Where string `json:"where"`
}

// TransformStep changes fields of each event's data: it sets some to the values
// of CEL expressions, which all see the event as it was, then removes others.
// Names are paths of fields: "region", "meta.region".
type TransformStep struct {
	Set    []NamedText `json:"set,omitempty"`
	Remove []string    `json:"remove,omitempty"`
}

// JQStep makes of each event's data the one value that a jq program answers. An
// event for which it answers none is dropped.
type JQStep struct {
	Program string `json:"program"`
}

// HTTPStep sends the batch to a URL. Strings, those inside Body too, are
// templates with ${…}.
type HTTPStep struct {
	Method   string          `json:"method,omitempty"` // "" is POST
	URL      string          `json:"url"`
	Headers  []NamedText     `json:"headers,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`      // nil: the events; a JSON string: that text; else JSON
	Mode     string          `json:"mode,omitempty"`      // of events: structured ("") or binary, which takes one event
	Each     bool            `json:"each,omitempty"`      // one request per event, in order
	Timeout  Duration        `json:"timeout,omitempty"`   // of one request
	Sign     string          `json:"sign,omitempty"`      // template of a Standard Webhooks secret
	Success  []string        `json:"success,omitempty"`   // statuses, "2xx" or "404"; nil: 2xx
	Response string          `json:"response,omitempty"`  // ignore (""), emit or replace
	EmitType string          `json:"emit_type,omitempty"` // template of the type of what response: emit publishes
}

// NamedText is a name with a template.
type NamedText struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// EmitStep publishes an event, or one per event of the batch with Each.
// Strings, those inside Data too, are templates.
type EmitStep struct {
	Type    string          `json:"type"`
	Source  string          `json:"source,omitempty"` // "": /runs/{run}
	Subject string          `json:"subject,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"` // nil: the data of the batch's event
	Each    bool            `json:"each,omitempty"`
}

// LogStep writes a line into the run's log.
type LogStep struct {
	Message string `json:"message"`
	Level   string `json:"level,omitempty"` // debug, info (""), warn, error
	Each    bool   `json:"each,omitempty"`  // one line per event
}

// Retry says when a try that failed is followed by another.
type Retry struct {
	Attempts int      `json:"attempts"` // tries in all
	Backoff  Duration `json:"backoff,omitempty"`
	Factor   float64  `json:"factor,omitempty"`
	Max      Duration `json:"max,omitempty"`
	On       []string `json:"on,omitempty"`   // connect, timeout, 5xx, 4xx or a status
	None     bool     `json:"none,omitempty"` // written as "retry: none": not even a lost try is repeated
}

// Concurrency bounds how many runs of a pipeline are tried at once, in all or
// per key.
type Concurrency struct {
	Limit    int    `json:"limit"`               // 1 where Ordered
	Per      string `json:"per,omitempty"`       // CEL; "": the limit is the pipeline's
	Ordered  bool   `json:"ordered,omitempty"`   // runs of a key act one after another, each to its end
	WhenFull string `json:"when_full,omitempty"` // queue ("") or skip: a new run that finds no place is cancelled
}

// Source brings events to the door.
type Source struct {
	Name    string   `json:"-"`
	Webhook *Webhook `json:"webhook,omitempty"`
}

// Webhook is a source at POST /hooks/{project}/{name}. Strings are templates.
type Webhook struct {
	Verify string `json:"verify"` // github
	Secret string `json:"secret"`
	Type   string `json:"type"`
	ID     string `json:"id,omitempty"` // "": made
}

// Destination bounds what is sent to one origin, for all pipelines of the
// project.
type Destination struct {
	Name    string      `json:"-"` // the origin
	Limit   int         `json:"limit,omitempty"`
	Rate    Rate        `json:"rate,omitzero"`
	Timeout Duration    `json:"timeout,omitempty"` // of one request, where its step says nothing
	Headers []NamedText `json:"headers,omitempty"` // for what a step does not set; templates
}

// EventType is a declared type of events. Those of that type whose data does
// not fit the schema are turned away at the door.
type EventType struct {
	Name   string          `json:"-"`
	Schema json.RawMessage `json:"schema,omitempty"` // JSON Schema 2020-12; nil: any data
}
