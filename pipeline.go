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
}

// Step is one step: exactly one of the pointers is set.
type Step struct {
	Filter *FilterStep `json:"filter,omitempty"`
	HTTP   *HTTPStep   `json:"http,omitempty"`
	Emit   *EmitStep   `json:"emit,omitempty"`
	Log    *LogStep    `json:"log,omitempty"`
}

// Kind returns the step's word in project files.
func (s *Step) Kind() string {
	switch {
	case s.Filter != nil:
		return "filter"
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
func (s *Step) Acts() bool { return s.Filter == nil }

// FilterStep keeps the events of the batch for which the CEL expression holds.
type FilterStep struct {
	Where string `json:"where"`
}

// HTTPStep sends the batch to a URL. Strings are templates with ${…}.
type HTTPStep struct {
	Method  string      `json:"method,omitempty"` // "" is POST
	URL     string      `json:"url"`
	Headers []NamedText `json:"headers,omitempty"`
	Timeout Duration    `json:"timeout,omitempty"`
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
	Limit int    `json:"limit"`
	Per   string `json:"per,omitempty"` // CEL; "": the limit is the pipeline's
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
	Name  string `json:"-"` // the origin
	Limit int    `json:"limit,omitempty"`
}
