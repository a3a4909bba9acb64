package weir

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

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

// Webhook is a source at POST /hooks/{project}/{name}. Secrets, Type, ID,
// Subject and VerifyToken are templates. Project files write it so:
//
//	verify: github          # or standard, stripe, slack, hmac, token, basic
//	secret: "${secret.a}"   # or ["${secret.new}", "${secret.old}"]; basic: user:password
//	type: "github.${header['x-github-event']}"
//	id: "${body.id}"        # optional, as is subject
//	tolerance: 5m           # optional; not with github, token, basic, or hmac without a timestamp
//	verify_token: "${secret.b}"     # optional; answers GET with hub.challenge
//	signature: {header: X-Sign, algorithm: sha256, encoding: hex, prefix: "sha256=",
//	            timestamp: X-Time, signed: "{timestamp}.{body}"} # hmac: header is required
//	token: {header: X-Gitlab-Token} # token, optional; or {query: token}
type Webhook struct {
	Verify      string     `json:"verify"`
	Secrets     []string   `json:"secrets"` // any of them verifies
	Type        string     `json:"type"`
	ID          string     `json:"id,omitempty"` // "": the delivery's own id, or, where it has none, made
	Subject     string     `json:"subject,omitempty"`
	Tolerance   Duration   `json:"tolerance,omitempty"` // of timestamps, to both sides; 0: DefaultTolerance
	VerifyToken string     `json:"verify_token,omitempty"`
	Signature   *Signature `json:"signature,omitempty"`
	Token       *HookToken `json:"token,omitempty"`
}

// DefaultTolerance is how old or new a webhook's timestamp may be.
const DefaultTolerance = Duration(5 * time.Minute)

// Signature says how the sender of an hmac webhook signs.
type Signature struct {
	Header    string `json:"header"`              // which has the signature
	Algorithm string `json:"algorithm,omitempty"` // sha1, sha256 (""), sha512
	Encoding  string `json:"encoding,omitempty"`  // hex (""), base64
	Prefix    string `json:"prefix,omitempty"`    // what stands before the encoded signature
	Timestamp string `json:"timestamp,omitempty"` // the header that has it: seconds or milliseconds since 1970, or RFC 3339
	Signed    string `json:"signed,omitempty"`    // "{body}" (""), with {timestamp}, and {Name} for the header Name
}

// HookToken says where the sender of a token webhook puts its token. In
// Authorization, the word Bearer may stand before it.
type HookToken struct {
	Header string `json:"header,omitempty"`
	Query  string `json:"query,omitempty"` // name of a parameter
}

// Validate checks what the kinds of webhook need, and what only some of them
// take. The error is Invalid, with the key at fault: "signature.signed".
func (w *Webhook) Validate() error {
	switch {
	case !slices.Contains([]string{"github", "standard", "stripe", "slack", "hmac", "token", "basic"}, w.Verify):
		return invalid("verify", "%q is none of github, standard, stripe, slack, hmac, token and basic", w.Verify)
	case len(w.Secrets) == 0:
		return invalid("secret", "is required")
	case w.Type == "":
		return invalid("type", "is required")
	case (w.Verify == "hmac") != (w.Signature != nil):
		return invalid("signature", "belongs to verify: hmac, which needs it")
	case w.Token != nil && w.Verify != "token":
		return invalid("token", "belongs to verify: token")
	case w.Token != nil && (w.Token.Header == "") == (w.Token.Query == ""):
		return invalid("token", "is either a header or a query parameter")
	case w.Tolerance < 0:
		return invalid("tolerance", "is negative")
	case w.Tolerance > 0 && !w.Timed():
		return invalid("tolerance", "is for signed timestamps, and there is none")
	case w.Signature != nil:
		return w.Signature.validate()
	}
	return nil
}

// Timed reports whether deliveries have a timestamp that is signed.
func (w *Webhook) Timed() bool {
	switch w.Verify {
	case "standard", "stripe", "slack":
		return true
	}
	return w.Signature != nil && w.Signature.Timestamp != ""
}

func (s *Signature) validate() error {
	signed := cmp.Or(s.Signed, "{body}")
	switch {
	case s.Header == "":
		return invalid("signature.header", "is required")
	case !slices.Contains([]string{"", "sha1", "sha256", "sha512"}, s.Algorithm):
		return invalid("signature.algorithm", "%q is none of sha1, sha256 and sha512", s.Algorithm)
	case !slices.Contains([]string{"", "hex", "base64"}, s.Encoding):
		return invalid("signature.encoding", "%q is neither hex nor base64", s.Encoding)
	case !strings.Contains(signed, "{body}"):
		return invalid("signature.signed", "%q leaves out {body}, which anybody could then change", signed)
	case strings.Contains(signed, "{timestamp}") != (s.Timestamp != ""):
		return invalid("signature.signed", "{timestamp} and the header in signature.timestamp need each other")
	}
	return nil
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
