package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"weir"
)

// StreamFilter says what a stream tells of; empty fields ask for nothing. An
// item that has no such attribute is left out: with a type there are events
// only, with a pipeline or trigger runs and groups only.
type StreamFilter struct {
	Kinds     string // of items, with commas between: "event,run,group" is all
	Type      string // of events; globs as in EventFilter
	Source    string // of events
	Pipeline  string // of runs
	Trigger   string // of runs and groups
	Run       string // id: its changes, and the events that it emitted
	Execution string // of events, and of the batches of runs and groups
	Attempts  bool   // with each change of a run what was tried: steps and log
}

// StreamItem is something that happened: an event was accepted, a run changed,
// or a group ended, which is told at its run's first change. One of the pointers
// is set.
type StreamItem struct {
	Place string     `json:"place"` // give it as After to go on behind this item
	Event *Event     `json:"event,omitempty"`
	Run   *RunChange `json:"run,omitempty"`
	Group *Group     `json:"group,omitempty"` // without its events
	Gap   *Gap       `json:"gap,omitempty"`
}

// RunChange is what happened to a run, and where that left it.
type RunChange struct {
	ID       string    `json:"id"`
	N        uint32    `json:"n" doc:"Counts the run's changes from 1."`
	At       weir.Time `json:"at" format:"date-time"`
	Outcome  string    `json:"outcome" doc:"As that of an attempt."`
	State    string    `json:"state" enum:"pending,succeeded,dead,cancelled" doc:"Where the change left the run."`
	Pipeline string    `json:"pipeline"`
	Trigger  string    `json:"trigger,omitempty"`
	Try      int       `json:"try,omitempty"`
	Due      weir.Time `json:"due,omitzero" format:"date-time" doc:"When the next try may start."`
	Error    string    `json:"error,omitempty"`
	Attempt  *Attempt  `json:"attempt,omitempty" doc:"What was tried, with attempts=true."`
}

// Gap says that what happened at the places From to To is not kept any more.
type Gap struct {
	From weir.Seq `json:"from"`
	To   weir.Seq `json:"to"`
}

// Dropped is the last that a stream says where the server ends it.
type Dropped struct {
	Code   weir.Code `json:"code" doc:"limited: the reader was too slow; unavailable: the server stops."`
	Reason string    `json:"reason"`
}

// StreamFrom says where a stream begins and whether it goes on when it is cut.
type StreamFrom struct {
	After     string // a Place, or the AsOf of a list in decimal; "" is now
	Reconnect bool   // after a cut, a drop or a busy server, from the last place on, without gap or double
}

// Stream tells what happens, in order, as soon as it is durable. It ends when
// ctx does, or with an error: with Reconnect only with one that trying again
// would not mend.
func (c *Client) Stream(ctx context.Context, f StreamFilter, from StreamFrom) iter.Seq2[StreamItem, error] {
	return func(yield func(StreamItem, error) bool) {
		s := streaming{client: c, query: f.values(), place: from.After, yield: yield}
		for try := 0; ; try++ {
			before := s.place
			err := s.once(ctx)
			switch {
			case errors.Is(err, errEnough) || ctx.Err() != nil:
				return
			case !from.Reconnect || !mayMend(err):
				yield(StreamItem{}, err)
				return
			case s.place != before:
				try = 0
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pauseAfter(try)):
			}
		}
	}
}

func (f StreamFilter) values() url.Values {
	q := url.Values{}
	set(q, "kinds", f.Kinds)
	set(q, "type", f.Type)
	set(q, "source", f.Source)
	set(q, "pipeline", f.Pipeline)
	set(q, "trigger", f.Trigger)
	set(q, "run", f.Run)
	set(q, "execution", f.Execution)
	if f.Attempts {
		q.Set("attempts", "true")
	}
	return q
}

// mayMend reports whether trying again may do.
func mayMend(err error) bool {
	code := weir.CodeOf(err)
	return code == weir.Unavailable || code == weir.Limited || code == weir.Behind
}

// pauseAfter returns how long to wait after so many cuts without an item between.
func pauseAfter(cuts int) time.Duration {
	d := min(200*time.Millisecond<<min(cuts, 10), maxWait)
	return d/2 + rand.N(d/2)
}

// streamSilence is how long a stream may say nothing, not even that it is there,
// which it does every 15 s.
const streamSilence = 45 * time.Second

// errEnough says that the caller wants no more.
var errEnough = errors.New("enough")

// streaming is a stream under way.
type streaming struct {
	client *Client
	query  url.Values
	place  string
	yield  func(StreamItem, error) bool
}

// once reads the stream until it ends.
func (s *streaming) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(streamSilence, cancel)
	defer silence.Stop()
	set(s.query, "after", s.place)
	r := request{method: http.MethodGet, path: "/v1/stream", query: s.query, long: true}
	resp, err := s.client.do(ctx, &r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
		return failure(r.op(), resp.StatusCode, body)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 4096), maxResponse)
	var b block
	for lines.Scan() {
		silence.Reset(streamSilence)
		if b.take(lines.Bytes()) {
			continue
		}
		if err := s.hand(&b); err != nil {
			return err
		}
		b = block{}
	}
	if err := lines.Err(); err != nil {
		return weir.E(r.op(), weir.Unavailable, "the stream was cut: %w", err)
	}
	return weir.E(r.op(), weir.Unavailable, "the stream ended")
}

// hand gives what a block says to the caller.
func (s *streaming) hand(b *block) error {
	const op = "get /v1/stream"
	if b.id != "" {
		s.place = b.id
	}
	item := StreamItem{Place: s.place}
	var to any
	var dropped Dropped
	switch b.event {
	case "event":
		item.Event = new(Event)
		to = item.Event
	case "run":
		item.Run = new(RunChange)
		to = item.Run
	case "group":
		item.Group = new(Group)
		to = item.Group
	case "gap":
		item.Gap = new(Gap)
		to = item.Gap
	case "dropped":
		to = &dropped
	default:
		return nil // it only says that the server is there, or what this client does not know
	}
	if err := json.Unmarshal(b.data, to); err != nil {
		return weir.E(op, weir.Internal, "read the stream: %w", err)
	}
	if b.event == "dropped" {
		return weir.E(op, dropped.Code, "%s", dropped.Reason)
	}
	if !s.yield(item, nil) {
		return errEnough
	}
	return nil
}

// block is one item of a stream of server-sent events (HTML, section 9.2).
type block struct {
	event string
	id    string
	data  []byte
}

// take reads a line, and reports false at the empty one that ends the block.
func (b *block) take(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		b.event = string(value)
	case "id":
		b.id = string(value)
	case "data":
		b.data = bytes.Clone(value)
	}
	return true
}
