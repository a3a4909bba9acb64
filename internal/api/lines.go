package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"weir"
	"weir/client"
	"weir/internal/ingest"
)

// publishLines takes events in lines and answers in lines, while it goes on
// reading. The answer is 200 once the first chunk is answered, whatever became
// of it.
func (a *API) publishLines(w http.ResponseWriter, r *http.Request, entry ingest.Entry, source string) {
	stream, err := a.Door.Stream(w, r)
	if err != nil {
		a.refuse(w, r, entry, err)
		return
	}
	var total client.Total
	answers := answer200(w, stream.Stop)
	defer answers.end()
	n := 0
	err = a.Door.TakeLines(r.Context(), entry, ingest.Lines{
		In: stream, Stop: stream.Stop, Query: r.URL.Query(), Key: r.Header.Get("Idempotency-Key"), Source: source,
	}, func(c ingest.Chunk) error {
		n++
		return answers.send(a.chunk(r, n, c, &total))
	})
	if err != nil && n == 0 {
		answers.end()
		stream.Drain()
		a.fail(w, r, err)
		return
	}
	total.Done = err == nil
	if err != nil {
		total.Error = &a.failure(r.Context(), err).problem
	}
	_ = answers.send(total) // nobody is there where it fails
}

// chunk makes the answer to a chunk, and counts it.
func (a *API) chunk(r *http.Request, n int, c ingest.Chunk, total *client.Total) client.Chunk {
	answer := client.Chunk{Chunk: n, Lines: c.Lines, Taken: c.Taken, Duplicates: c.Duplicates, Seq: c.Seq}
	total.Lines += c.Lines
	total.Taken += c.Taken
	total.Duplicates += c.Duplicates
	if c.Err != nil {
		total.Refused += c.Lines
		answer.Error = &a.failure(r.Context(), c.Err).problem
		answer.Error.Line = c.Line
	}
	return answer
}

const (
	maxUnsent  = 1000        // answers; then reading waits
	sendWithin = time.Minute // or the client reads nothing, and is cut off
)

// answers sends lines of JSON beside what makes them.
type answers struct {
	w     http.ResponseWriter
	queue chan any
	gone  chan struct{} // closed when the client cannot be reached
	end   func()        // waits until all is sent; may be called again
}

// answer200 begins an answer of lines, whose head is sent with the first. Its
// end must be called. Stop is called when the client cannot be reached.
func answer200(w http.ResponseWriter, stop func()) *answers {
	// Without full duplex the server would read all of a body before it answers.
	// Where that cannot be had, answers come at the end.
	_ = http.NewResponseController(w).EnableFullDuplex()
	a := &answers{w: w, queue: make(chan any, maxUnsent), gone: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.run(stop)
	}()
	a.end = sync.OnceFunc(func() {
		close(a.queue)
		<-ended
	})
	return a
}

var errGone = errors.New("the client reads no answers")

// send queues a line, and waits where too many are.
func (a *answers) send(line any) error {
	select {
	case a.queue <- line:
		return nil
	case <-a.gone:
		return weir.E("", weir.Unavailable, "%w", errGone)
	}
}

func (a *answers) run(stop func()) {
	control := http.NewResponseController(a.w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	enc := json.NewEncoder(a.w)
	enc.SetEscapeHTML(false)
	for line := range a.queue {
		a.w.Header().Set("Content-Type", client.LinesType) // which means something before the first line only
		_ = control.SetWriteDeadline(time.Now().Add(sendWithin))
		err := enc.Encode(line)
		if err == nil && len(a.queue) == 0 {
			err = control.Flush()
		}
		if err != nil {
			close(a.gone)
			stop()
			break
		}
	}
	for range a.queue {
		continue // nobody reads what is left
	}
}
