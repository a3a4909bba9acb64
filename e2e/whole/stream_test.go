package whole

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/client"
)

// publishMany publishes events of types s.0 to s.9, in batches.
func (s *server) publishMany(from, to int) {
	s.t.Helper()
	const size = 1000
	for at := from; at < to; at += size {
		var events []*weir.Event
		for i := at; i < min(at+size, to); i++ {
			events = append(events, &weir.Event{
				ID: fmt.Sprint(i), Source: "/test", Type: fmt.Sprint("s.", i%10), Data: []byte(`{"filling":"` + strings.Repeat("x", 100) + `"}`),
			})
		}
		if _, err := s.Publish(s.t.Context(), events...); err != nil {
			s.t.Fatal(err)
		}
	}
}

// follow reads a stream until it has an event with the last id.
func follow(t *testing.T, c *client.Client, f client.StreamFilter, from client.StreamFrom, last string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var ids []string
	for item, err := range c.Stream(ctx, f, from) {
		if err != nil {
			t.Error(err)
			break
		}
		if item.Event == nil {
			t.Errorf("%+v", item)
			continue
		}
		if ids = append(ids, item.Event.ID); item.Event.ID == last {
			return ids
		}
	}
	t.Errorf("it ended after %d events", len(ids))
	return ids
}

// Fifty readers, cut off again and again, are told of ten thousand events, each
// once and in order.
func TestReadersThatAreCutOffMissNothing(t *testing.T) {
	s := start(t)
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	defer proxy.Close()
	const events = 10_000
	var readers sync.WaitGroup
	for i := range 50 {
		readers.Go(func() {
			c := &client.Client{URL: proxy.URL, Token: token}
			f, first, last, step := client.StreamFilter{Kinds: "event"}, 0, events-1, 1
			if i%5 > 0 {
				f.Type, first, last, step = "s.7", 7, events-3, 10
			}
			ids := follow(t, c, f, client.StreamFrom{After: "0", Reconnect: true}, fmt.Sprint(last))
			for k, id := range ids {
				if want := fmt.Sprint(first + k*step); id != want {
					t.Errorf("reader %d: item %d is event %s, want %s", i, k, id, want)
					return
				}
			}
		})
	}

	for i := range 10 {
		s.publishMany(i*events/10, (i+1)*events/10)
		proxy.CloseClientConnections()
	}

	readers.Wait()
}

// A reader that does not read while others do is told that it is too slow, and
// may go on from where it was.
func TestASlowReaderIsToldAndDropped(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	slow, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	const events = 90_000
	fast := make(chan int)
	go func() {
		fast <- len(follow(t, s.Client, client.StreamFilter{Type: "s.9"}, client.StreamFrom{After: "0", Reconnect: true}, fmt.Sprint(events-1)))
	}()

	s.publishMany(0, events)

	if n := <-fast; n != events/10 {
		t.Errorf("the fast reader has %d events", n)
	}
	lines, told, words := bufio.NewScanner(slow.Body), 0, ""
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if lines.Text() == "event: event" {
			told++
		}
		if lines.Text() == "event: dropped" && lines.Scan() {
			words = lines.Text()
		}
	}
	if !strings.Contains(words, `"code":"limited"`) || !strings.Contains(words, "too slow") {
		t.Errorf("told of %d events, then %q, %v", told, words, lines.Err())
	}
	ids := follow(t, s.Client, client.StreamFilter{}, client.StreamFrom{After: fmt.Sprint(told)}, fmt.Sprint(events-1))
	if len(ids) != events-told || ids[0] != fmt.Sprint(told) {
		t.Errorf("told of %d and then of %d, from %s on", told, len(ids), ids[0])
	}
}

// Streams do not keep a server from stopping, and nothing of them is left then.
func TestStreamsEndWithTheServer(t *testing.T) {
	s := start(t)
	var readers sync.WaitGroup
	began := make(chan struct{}, 20)
	for range 20 {
		readers.Go(func() {
			for item, err := range s.Stream(t.Context(), client.StreamFilter{}, client.StreamFrom{After: "0"}) {
				if err == nil && item.Event != nil {
					began <- struct{}{}
					continue
				}
				if weir.CodeOf(err) != weir.Unavailable || !strings.Contains(err.Error(), "the server stops") {
					t.Errorf("it ended with %v", err)
				}
			}
		})
	}
	s.publish("s", "1", "{}")
	for range 20 {
		<-began
	}

	before := time.Now()
	s.stop()

	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	readers.Wait()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, room := range []string{"weir/internal/track", "weir/internal/api"} {
		if strings.Contains(string(stacks), room) {
			t.Errorf("something of %s still runs:\n%s", room, stacks)
		}
	}
}

// What a run did is told as it happens, with its attempts where that is asked for.
func TestAStreamFollowsARun(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.define(`
triggers:
  pairs: {match: [{type: pair}], group_by: {who: data.who}, fire: [{count: 2}], expire: opened + 1h, run: tell}
pipelines:
  tell: {steps: [{log: {message: "hello ${group.key.who}"}}, {emit: {type: told, data: {}}}]}
`)
	s.publish("pair", "1", `{"who":"ann"}`)
	s.publish("pair", "2", `{"who":"ann"}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var told []string
	for item, err := range s.Stream(ctx, client.StreamFilter{Attempts: true}, client.StreamFrom{After: "0"}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case item.Event != nil:
			told = append(told, "event "+item.Event.Type)
		case item.Group != nil:
			told = append(told, "group "+item.Group.State+" "+string(item.Group.Key))
		case item.Run != nil:
			told = append(told, strings.TrimSpace("run "+item.Run.State+" "+item.Run.Pipeline+" "+item.Run.Error))
			if a := item.Run.Attempt; a == nil || !strings.Contains(a.Log, "hello ann") || len(a.Steps) != 2 {
				t.Errorf("attempt %+v", a)
			}
		}
		if told[len(told)-1] == "event told" {
			break
		}
	}
	want := `event pair; event pair; group fired {"who":"ann"}; run succeeded tell; event told`
	if got := strings.Join(told, "; "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
