package postgres

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/pg/pgtest"
)

func event(id string) *weir.Record {
	return &weir.Record{Project: 1, Event: &weir.Event{ID: id, Source: "/s", Type: "made", Subject: "of " + id, Execution: "x" + id}}
}

func change(run byte, n uint32) *weir.Record {
	return &weir.Record{Project: 1, Change: &weir.Change{Run: weir.RunID{run}, N: n, Kind: weir.Succeeded, Pipeline: "p"}}
}

func (j *Journal) mustAppend(tb testing.TB, batches ...weir.Batch) []weir.Receipt {
	tb.Helper()
	got, err := j.Append(tb.Context(), batches...)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func free(records ...*weir.Record) weir.Batch  { return weir.Batch{Records: records} }
func bound(records ...*weir.Record) weir.Batch { return weir.Batch{Bound: true, Records: records} }

// readAll reads the whole journal from where the caller is.
func (j *Journal) readAll(tb testing.TB) (all []*weir.Record) {
	tb.Helper()
	for after := weir.Seq(0); ; after = all[len(all)-1].Seq {
		got, err := j.Read(tb.Context(), after, 100)
		if err != nil {
			tb.Fatal(err)
		}
		if len(got) == 0 {
			return all
		}
		all = append(all, got...)
	}
}

func TestWhoHasSeenARecordOfAnyNodeHasSeenAllBeforeIt(t *testing.T) {
	t.Parallel()
	const nodes, appends = 3, 60
	url := pgtest.New(t)
	reader := open(t, openDB(t, url))
	var all sync.WaitGroup
	for n := range nodes {
		j := open(t, openDB(t, url))
		all.Go(func() {
			for i := range appends {
				if _, err := j.Append(t.Context(), free(event(fmt.Sprint(n, "-", i)), event(fmt.Sprint(n, "-", i, "b")))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for last := weir.Seq(0); last < 2*nodes*appends; {
		if err := reader.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		got, err := reader.Read(t.Context(), last, 50)
		if err != nil || len(got) == 0 {
			t.Fatal("nothing read: ", err)
		}
		for _, r := range got {
			if last++; r.Seq != last {
				t.Fatalf("read %d, want %d", r.Seq, last)
			}
		}
	}
	all.Wait()
}

func TestOfNodesThatAppendTheSameOneIsTaken(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	one, two := open(t, openDB(t, url)), open(t, openDB(t, url))
	for n := range uint32(20) {
		var got [2][]weir.Receipt
		var both sync.WaitGroup
		for i, j := range []*Journal{one, two} {
			both.Go(func() { got[i], _ = j.Append(t.Context(), bound(change(1, n+1), event(fmt.Sprint(n, "-", i)))) })
		}
		both.Wait()
		if len(got[0]) != 1 || len(got[1]) != 1 || got[0][0].Refused == got[1][0].Refused {
			t.Fatalf("change %d: %+v", n, got)
		}
	}
	if all := one.readAll(t); len(all) != 40 {
		t.Errorf("%d records", len(all))
	}
}

// relay stands between a node and its database.
type relay struct {
	to   string
	mu   sync.Mutex // guards:
	mode func(sent []byte) (pass []byte, then string)
	held chan struct{} // closed to go on
}

const (
	cutAnswer = "cut" // when the server has answered
	stall     = "stall"
)

// newRelay returns a relay and the address of the database behind it.
func newRelay(tb testing.TB, address string) (*relay, string) {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	q := u.Query()
	r := &relay{to: filepath.Join(q.Get("host"), ".s.PGSQL.5432"), held: make(chan struct{})}
	dir := tb.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return r, u.String()
}

func (r *relay) set(mode func([]byte) ([]byte, string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = mode
}

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", r.to)
	if err != nil {
		return
	}
	defer server.Close()
	var cut sync.Mutex
	cuts := false
	go func() {
		defer client.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			cut.Lock()
			stop := cuts
			cut.Unlock()
			if err != nil || stop {
				return
			}
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 1<<20)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		pass, then := b[:n], ""
		r.mu.Lock()
		if r.mode != nil {
			pass, then = r.mode(b[:n])
		}
		r.mu.Unlock()
		cut.Lock()
		cuts = cuts || then == cutAnswer
		cut.Unlock()
		if _, err := server.Write(pass); err != nil {
			return
		}
		if then == stall {
			<-r.held
			_, _ = io.Copy(io.Discard, client)
			return
		}
	}
}

// once makes a mode that acts on the first message that has a text.
func once(text string, act func(sent []byte) ([]byte, string)) func([]byte) ([]byte, string) {
	done := false
	return func(sent []byte) ([]byte, string) {
		if done || !bytes.Contains(sent, []byte(text)) {
			return sent, ""
		}
		done = true
		return act(sent)
	}
}

func TestAnAppendWhoseAnswerWasLostIsAnsweredAsItWasDone(t *testing.T) {
	t.Parallel()
	direct := pgtest.New(t)
	r, address := newRelay(t, direct)
	j := open(t, openDB(t, address))
	j.mustAppend(t, free(event("known")))
	for n, marker := range []string{"first marker", "second marker", "third marker"} {
		r.set(once(marker, func(sent []byte) ([]byte, string) { return sent, cutAnswer }))

		got := j.mustAppend(t, bound(change(9, uint32(n+1)), event(marker), event("known")), free(event("beside "+marker), &weir.Record{}))

		if got[0].Refused || got[0].Items[0].Repeated || got[0].Items[1].Repeated || !got[0].Items[2].Repeated {
			t.Errorf("bound: %+v", got[0])
		}
		if got[1].Items[0].Repeated || got[1].Items[1].Repeated {
			t.Errorf("free: %+v", got[1])
		}
		records, err := j.Records(t.Context(), []weir.Seq{got[0].Items[1].Seq, got[1].Items[1].Seq})
		if err != nil || records[0].Event.ID != marker || !records[1].IsTick() || records[0].At != got[0].Items[1].At {
			t.Errorf("at the places: %v, %v", records, err)
		}
	}
	if all := j.readAll(t); len(all) != 1+3*4 {
		t.Errorf("%d records", len(all))
	}
}

// The last five bytes end the message, and with it the transaction.
func TestANodeThatStopsWithinAnAppendStopsNobody(t *testing.T) {
	t.Parallel()
	for name, keepBack := range map[string]int{"before the end of the message": 5, "in the middle": 400} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := pgtest.New(t)
			r, address := newRelay(t, direct)
			stopped, other := open(t, openDB(t, address)), open(t, openDB(t, direct))
			stopped.mustAppend(t, free(event("a")))
			stalled := make(chan struct{})
			r.set(once("marker", func(sent []byte) ([]byte, string) {
				close(stalled)
				return sent[:len(sent)-keepBack], stall
			}))
			go func() { _, _ = stopped.Append(t.Context(), free(event("marker"+strings.Repeat("x", 600)))) }()
			<-stalled
			began := time.Now()

			for i := range 5 {
				other.mustAppend(t, free(event(fmt.Sprint(i))))
			}

			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("others waited for %v", took)
			}
			close(r.held)
		})
	}
}
