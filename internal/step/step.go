package step

import (
	"context"
	"io"
	"strconv"

	"weir"
	"weir/internal/expr"
	"weir/internal/pipeline"
)

// Input is what a step acts on. The step changes nothing of it but the log.
type Input struct {
	Run    *weir.Run
	Index  int            // place of the step in its pipeline, from 0
	Events []*weir.Record // the batch, in order
	Place  int            // of a step with each: the place of its one event in the run's batch, from 1; else 0
	Scope  Scope
	Log    *Log
	Limits Limits

	// Destinations are the project's, by origin.
	Destinations map[string]weir.Destination

	// Open opens the blob of an event, as it was uploaded: Events have the data of
	// all blobs but those that are files. nil: there are no blobs.
	Open func(ctx context.Context, blob *weir.Blob) (io.ReadCloser, error)
}

// Scope is what expressions see besides the batch.
type Scope struct {
	Group  expr.Fields
	Run    expr.Fields
	Result []byte // JSON: the newest output of the steps before; nil: none
	Secret func(name string) (string, error)
}

// Limits bounds what a step keeps.
type Limits struct {
	Output  int // bytes of an answer
	Data    int // bytes of an emitted event's data
	Emitted int // bytes of the data of all events that one step emits
	Log     int // bytes of the log of a try
}

// DefaultLimits returns the limits of a server whose configuration says
// nothing: 256 KiB of output, 1 MiB of data, 16 MiB emitted by a step, a log of
// 64 KiB.
func DefaultLimits() Limits {
	return Limits{Output: 256 << 10, Data: 1 << 20, Emitted: 16 << 20, Log: MaxLog}
}

// Vars returns what an expression about the whole batch sees.
func (in *Input) Vars() *expr.Vars {
	v := in.VarsOf(nil)
	v.Events = in.Events
	return v
}

// VarsOf returns what an expression about one event of the batch sees.
func (in *Input) VarsOf(event *weir.Record) *expr.Vars {
	v := &expr.Vars{
		Event:  event,
		Group:  in.Scope.Group,
		Run:    in.Scope.Run,
		Result: in.Scope.Result,
		Secret: in.Scope.Secret,
	}
	if event != nil {
		v.Events = []*weir.Record{event}
	}
	return v
}

// Key returns the key under which the step's effect is known outside:
// "{run}.{step}", with each "{run}.{step}.{index}" with the place of the event
// from 0. It is the same over all tries of the run, redriven ones too.
func (in *Input) Key() string { return in.Run.ID.String() + "." + in.index() }

// EventID returns the id of what a step that emits one event emits under the
// source /runs/{run}: "{step}.{index}", index being 0 or, with each, the place
// of the event from 0.
func (in *Input) EventID() string {
	if in.Place == 0 {
		return in.index() + ".0"
	}
	return in.index()
}

func (in *Input) index() string {
	index := strconv.Itoa(in.Index)
	if in.Place > 0 {
		index += "." + strconv.Itoa(in.Place-1)
	}
	return index
}

// Outcome is what became of a step.
type Outcome struct {
	Failure *Failure       // nil: it did what it should
	Events  []*weir.Record // what a transform step makes of the batch
	Output  []byte         // JSON for ${result} of the steps after it; nil: none
	Emitted []*weir.Event
	Detail  string // one line for people: "POST https://x.example/y 503"
}

// Failure is why a step did not do what it should.
type Failure struct {
	pipeline.Failure
	Message string // one line for people
}

// Final returns the outcome of a failure that trying again does not mend.
func Final(message string) Outcome {
	return Outcome{Failure: &Failure{Failure: pipeline.Failure{Final: true}, Message: message}}
}

// Unrendered returns what a step answers when an expression in one of its
// fields fails: a final failure that names the field, or an error where only
// something that the expression asked for, such as a secret, was out of reach.
func Unrendered(field string, err error) (Outcome, error) {
	switch weir.CodeOf(err) {
	case weir.Unavailable, weir.DiskFull, weir.Limited, weir.Behind:
		return Outcome{}, err
	default:
		return Final(field + ": " + err.Error()), nil
	}
}
