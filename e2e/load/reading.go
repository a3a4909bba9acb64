package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"weir"
	"weir/client"
)

// Reading is what readers saw that asked for what they had just published.
type Reading struct {
	Reads  int
	Behind int // answered 503: not folded and written within the time
	Blind  int // answered 200 without it
	Load   int // events published meanwhile by others
}

const readingProject = `
triggers:
  own:   {match: [{type: own.*}], group_by: {key: data.key}, fire: [{type: own.*, count: 2}], expire: opened + 1h}
  other: {match: [{type: other.*}]}
  sums:  {match: [{type: other.*}], group_by: {key: data.key}, fire: [{type: other.*, count: 50}], expire: opened + 1h}
`

// ReadOwn publishes and reads with Weir-After n times, by some readers at once,
// while others publish rate events a second. What is read is a group that the
// event has opened: it is there only once it was folded and flushed.
func ReadOwn(ctx context.Context, s *Server, n, rate int) (Reading, error) {
	if err := s.Define(ctx, readingProject); err != nil {
		return Reading{}, err
	}
	r := Reading{Reads: n}
	loaded, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	others.Go(func() { r.Load = s.publishOthers(loaded, rate) })

	const readers = 8
	var next, behind, blind atomic.Int64
	errs := make(chan error, readers)
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				seen, err := s.readOwn(ctx, int(i))
				switch {
				case weir.CodeOf(err) == weir.Behind:
					behind.Add(1)
				case err != nil:
					errs <- err
					return
				case !seen:
					blind.Add(1)
				}
			}
		})
	}
	reading.Wait()
	stop()
	others.Wait()
	r.Behind, r.Blind = int(behind.Load()), int(blind.Load())
	select {
	case err := <-errs:
		return r, err
	default:
		return r, nil
	}
}

// readOwn publishes one event and reports whether a list shows its group.
func (s *Server) readOwn(ctx context.Context, i int) (bool, error) {
	key := fmt.Sprintf("k%d", i)
	data, err := json.Marshal(map[string]string{"key": key})
	if err != nil {
		return false, err
	}
	c := &client.Client{URL: s.URL, Token: s.Token, HTTP: http.DefaultClient}
	receipts, err := c.Publish(ctx, &weir.Event{ID: key, Source: "/load/own", Type: "own.one", Data: data})
	if err != nil {
		return false, err
	}
	groups, err := s.groupsAfter(ctx, receipts[0].Seq)
	if err != nil {
		return false, err
	}
	for _, g := range groups.Items {
		var have map[string]string
		if json.Unmarshal(g.Key, &have) == nil && have["key"] == key {
			return true, nil
		}
	}
	return false, nil
}

// groupsAfter asks once, where the client would ask again.
func (s *Server) groupsAfter(ctx context.Context, after weir.Seq) (page client.Page[client.Group], err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/groups?trigger=own&limit=50", nil)
	if err != nil {
		return page, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set(client.HeaderAfter, strconv.FormatUint(uint64(after), 10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return page, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return page, json.NewDecoder(resp.Body).Decode(&page)
	case http.StatusServiceUnavailable:
		return page, weir.E("read", weir.Behind, "not there yet")
	}
	return page, fmt.Errorf("list groups: %s", resp.Status)
}

// publishOthers publishes batches at a rate until ctx ends, and returns how
// many events were accepted.
func (s *Server) publishOthers(ctx context.Context, rate int) int {
	const size = 20
	tick := time.NewTicker(time.Second * size / time.Duration(rate))
	defer tick.Stop()
	n := 0
	for {
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
		}
		events := make([]*weir.Event, size)
		for k := range events {
			events[k] = &weir.Event{
				ID: fmt.Sprintf("other-%d", n+k), Source: "/load/other", Type: "other.one",
				Data: fmt.Appendf(nil, `{"key":"o%d"}`, (n+k)%100),
			}
		}
		if _, err := s.Publish(ctx, events...); err != nil {
			continue // counted by its absence
		}
		n += size
	}
}
