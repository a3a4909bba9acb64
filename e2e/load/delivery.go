package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
)

// Delivery is how long events took from being published to the first byte at a
// destination.
type Delivery struct {
	Events   int
	Lost     int // not there when the measurement ended
	P50, P99 time.Duration
	Max      time.Duration
}

// Destinations are two receivers: one that answers at once and notes when what
// came, and one that never answers.
type Destinations struct {
	live, hanging *httptest.Server

	mu   sync.Mutex // guards all below
	sent map[string]time.Time
	took map[string]time.Duration
	came chan struct{} // closed when all that was sent has come, nil when nobody waits
}

// Open starts the receivers and applies triggers that lead to them.
func Open(ctx context.Context, s *Server) (*Destinations, error) {
	d := &Destinations{sent: map[string]time.Time{}, took: map[string]time.Duration{}}
	d.live = httptest.NewServer(http.HandlerFunc(d.receive))
	d.hanging = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees when the other side gives up
		<-r.Context().Done()
	}))
	project := strings.NewReplacer("LIVE", d.live.URL, "HANGING", d.hanging.URL).Replace(`
triggers:
  live:    {match: [{type: live.*}], run: live}
  hanging: {match: [{type: hanging.*}], run: hanging}
pipelines:
  live:    {steps: [{http: {url: "LIVE/${event.id}"}}]}
  hanging: {steps: [{http: {url: "HANGING/", timeout: 10m}}]}
`)
	return d, s.Define(ctx, project)
}

// Close closes the receivers; what hangs is let go.
func (d *Destinations) Close() {
	d.hanging.CloseClientConnections()
	d.hanging.Close()
	d.live.Close()
}

func (d *Destinations) receive(_ http.ResponseWriter, r *http.Request) {
	now := time.Now()
	id := strings.TrimPrefix(r.URL.Path, "/")
	d.mu.Lock()
	defer d.mu.Unlock()
	sent, ok := d.sent[id]
	if !ok {
		return // the second of an event
	}
	delete(d.sent, id)
	d.took[id] = now.Sub(sent)
	if len(d.sent) == 0 && d.came != nil {
		close(d.came)
		d.came = nil
	}
}

// Deliver publishes n events at a rate, each at its time whether the ones
// before were answered or not, and measures from that time.
func (d *Destinations) Deliver(ctx context.Context, s *Server, n, rate int) (Delivery, error) {
	const conns = 16
	work := make(chan int, n)
	errs := make(chan error, conns)
	name := fmt.Sprintf("e%d", time.Now().UnixNano())
	var senders sync.WaitGroup
	for range conns {
		c, err := Dial(ctx, s.URL)
		if err != nil {
			return Delivery{}, err
		}
		defer func() { _ = c.Close() }()
		senders.Go(func() {
			for i := range work {
				id := fmt.Sprintf("%s-%d", name, i)
				request := s.Request(&weir.Event{ID: id, Source: "/load", Type: "live.one", Data: []byte(`{"n":1}`)})
				if status, _, err := c.Do(request); err != nil || status != http.StatusAccepted {
					errs <- fmt.Errorf("publish: status %d, %w", status, err)
					return
				}
			}
		})
	}
	d.begin()
	if err := d.pace(ctx, name, n, rate, work); err != nil {
		return Delivery{}, err
	}
	senders.Wait()
	select {
	case err := <-errs:
		return Delivery{}, err
	default:
		return d.end(ctx, n), nil
	}
}

// pace hands out the events, each at its time.
func (d *Destinations) pace(ctx context.Context, name string, n, rate int, work chan<- int) error {
	defer close(work)
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		d.mu.Lock()
		d.sent[fmt.Sprintf("%s-%d", name, i)] = due
		d.mu.Unlock()
		work <- i
	}
	return nil
}

func (d *Destinations) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.sent)
	clear(d.took)
}

// end waits for what is on its way, and sums up.
func (d *Destinations) end(ctx context.Context, n int) Delivery {
	d.mu.Lock()
	came := make(chan struct{})
	if len(d.sent) > 0 {
		d.came = came
	} else {
		close(came)
	}
	d.mu.Unlock()
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-came:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.came = nil
	out := Delivery{Events: n, Lost: len(d.sent)}
	all := make([]time.Duration, 0, len(d.took))
	for _, t := range d.took {
		all = append(all, t)
	}
	slices.Sort(all)
	if len(all) > 0 {
		out.P50, out.P99, out.Max = all[len(all)/2], all[len(all)*99/100], all[len(all)-1]
	}
	return out
}

// Hang publishes n events for the destination that never answers and waits
// until their runs are made.
func (d *Destinations) Hang(ctx context.Context, s *Server, n int) error {
	const size = 100
	var requests [][]byte
	for i := 0; i < n; i += size {
		events := make([]*weir.Event, min(size, n-i))
		for k := range events {
			events[k] = &weir.Event{
				ID: fmt.Sprintf("hang-%d-%d", time.Now().UnixNano(), i+k), Source: "/load", Type: "hanging.one", Data: []byte(`{}`),
			}
		}
		requests = append(requests, s.Request(events...))
	}
	last, err := Send(ctx, s.URL, 8, requests)
	if err != nil {
		return err
	}
	return s.Await(ctx, last)
}
