package work

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir"
)

// files are blobs by id.
type files map[string]string

func (f files) Read(_ context.Context, b weir.Blob) ([]byte, error) {
	switch data, ok := f[b.ID]; {
	case b.ID == "busy":
		return nil, weir.E("read blob", weir.Unavailable, "too many open files")
	case !ok:
		return nil, weir.E("", weir.NotFound, "blob %s is not there", b.ID)
	default:
		return []byte(data), nil
	}
}

func (f files) Keep(_ context.Context, data []byte) (weir.Blob, error) {
	if string(data) == `"full"` {
		return weir.Blob{}, weir.E("commit blob", weir.DiskFull, "no room")
	}
	f["kept"] = string(data)
	return weir.Blob{ID: "kept", Size: int64(len(data))}, nil
}

type file struct{ *strings.Reader }

func (file) Close() error { return nil }

func (f files) Open(_ context.Context, id string) (io.ReadSeekCloser, int64, error) {
	return file{strings.NewReader(f[id])}, int64(len(f[id])), nil
}

// blobRun is a run of one event whose data is a blob.
func (b *bench) blobRun(blob *weir.Blob) weir.Run {
	run := b.run(`null`)
	e := b.journal.records[run.Firing.Members[0].Seq-1].Event
	e.Data, e.Blob = nil, blob
	return run
}

func TestStepsSeeTheDataOfBlobs(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Blobs: files{"b1": `{"n":7}`}})
	p := steps(filterStep("data.n == 7"), weir.Step{Emit: &weir.EmitStep{Type: "out", Data: []byte(`{"n":"${data.n}"}`)}})
	for name, lease := range map[string]func(run weir.Run) weir.Lease{
		"a batch from the journal": func(run weir.Run) weir.Lease { return lease(run, p) },
		"a batch at hand": func(run weir.Run) weir.Lease {
			l := lease(run, p)
			l.Events = b.journal.records[run.Firing.Members[0].Seq-1:][:1:1]
			return l
		},
	} {
		run := b.blobRun(&weir.Blob{ID: "b1", Size: 7})
		run.ID[0] = name[2]
		run.ID[1] = name[len(name)-1]
		n := len(b.journal.records)

		b.Take([]weir.Lease{lease(run)})
		<-b.gate.ended

		if out := b.journal.emitted(n); len(out) != 1 || string(out[0].Data) != `{"n":7}` {
			t.Errorf("%s: emitted %+v", name, out)
		}
		if e := b.journal.records[run.Firing.Members[0].Seq-1].Event; e.Data != nil {
			t.Errorf("%s: the journal's record was given data", name)
		}
		if b.room.left != maxHeld {
			t.Errorf("%s: room for %d bytes is left", name, b.room.left)
		}
	}
}

func TestALargeBatchTakesRoomWhileItsRunIsTried(t *testing.T) {
	t.Parallel()
	half := `"` + strings.Repeat("x", smallBatch/2) + `"`
	for name, c := range map[string]struct {
		events []string
		room   int64
	}{
		"small": {[]string{half}, 0},
		"large": {[]string{half, half}, int64(2 * len(half))},
	} {
		b := newBench(t, Options{})
		held := int64(-1)
		to := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			b.room.mu.Lock()
			defer b.room.mu.Unlock()
			held = maxHeld - b.room.left
		}))
		t.Cleanup(to.Close)

		_, changes := b.try(b.run(c.events...), steps(httpStep(to.URL)))

		if changes[0].Kind != weir.Succeeded || held != c.room || b.room.left != maxHeld {
			t.Errorf("%s: %s, %d bytes held, want %d, and %d left at the end", name, changes[0].Kind, held, c.room, b.room.left)
		}
	}
}

func TestABatchWithoutItsDataIsNotActedOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		blob weir.Blob
		kind weir.ChangeKind
		want string
	}{
		"lost":      {weir.Blob{ID: "none", Size: 7}, weir.Died, "the data of event a of /s is lost: blob none is not there"},
		"too large": {weir.Blob{ID: "b1", Size: 64<<20 + 1}, weir.Died, "67108865 bytes long or more, and 67108864 are the most"},
		"busy":      {weir.Blob{ID: "busy", Size: 7}, weir.Retrying, "load the batch: read blob: too many open files"},
	} {
		b := newBench(t, Options{Blobs: files{"b1": `{}`}, Patience: time.Millisecond})
		to := newReceiver(t)

		_, changes := b.try(b.blobRun(&c.blob), steps(httpStep(to.URL)))

		if got := changes[0]; got.Kind != c.kind || !strings.Contains(got.Error, c.want) {
			t.Errorf("%s: %s: %s", name, got.Kind, got.Error)
		}
		if len(to.got()) > 0 {
			t.Errorf("%s: it was sent", name)
		}
	}
}

func TestAStoreThatIsAwayForAMomentCostsNoTry(t *testing.T) {
	t.Parallel()
	to := newReceiver(t)
	p := steps(weir.Step{HTTP: &weir.HTTPStep{URL: to.URL, Headers: []weir.NamedText{{Name: "X-Key", Text: "${secret.key}"}}}})
	p.Retry.None = true
	secrets := &away{times: 2}
	b := newBench(t, Options{Blobs: files{}, Secrets: secrets})
	b.journal.away = 2

	_, changes := b.try(b.run(`{}`), p)

	if got := changes[0]; got.Kind != weir.Succeeded {
		t.Errorf("%s: %s", got.Kind, got.Error)
	}
	if got := to.got(); len(got) != 1 {
		t.Errorf("sent %d requests", len(got))
	}
}

// away is secrets that cannot be told so many times.
type away struct{ times int }

func (a *away) Reveal(context.Context, weir.ProjectID, string) (string, error) {
	if a.times--; a.times >= 0 {
		return "", weir.E("reveal secret", weir.Unavailable, "the database cannot be reached")
	}
	return "value", nil
}

func TestAFileIsNotReadButMayBeOpened(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Blobs: files{"f1": "bytes"}})
	run := b.blobRun(&weir.Blob{ID: "f1", Size: 5, File: true})

	_, changes := b.try(run, steps(logStep("${event.id} ${has(data.x)}")))

	if got := changes[0].Attempt.Log; changes[0].Kind != weir.Succeeded || !strings.Contains(got, "a false") {
		t.Errorf("%s: %s, %s", changes[0].Kind, got, changes[0].Error)
	}
	f, err := b.open(t.Context(), &weir.Blob{ID: "f1", Size: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); string(got) != "bytes" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := b.open(t.Context(), &weir.Blob{ID: "f1", Size: 6}); weir.CodeOf(err) != weir.Internal {
		t.Error(err)
	}
}

func TestEmittedDataThatIsTooLongForTheJournalIsABlob(t *testing.T) {
	t.Parallel()
	kept := files{}
	b := newBench(t, Options{Blobs: kept, Inline: 5})
	p := steps(weir.Step{Emit: &weir.EmitStep{Type: "out", Each: true, Data: []byte(`"${data}"`)}})
	run := b.run(`"long"`, `"in"`, `"full"`)
	n := len(b.journal.records)

	if _, changes := b.try(run, p); changes[0].Kind != weir.Succeeded {
		t.Fatal(changes[0].Error)
	}

	out := b.journal.emitted(n)
	if len(out) != 3 || out[0].Data != nil || out[0].Blob == nil || kept[out[0].Blob.ID] != `"long"` {
		t.Errorf("the first: %+v, kept %v", out[0], kept)
	}
	for i, want := range map[int]string{1: `"in"`, 2: `"full"`} {
		if got := out[i]; string(got.Data) != want || got.Blob != nil {
			t.Errorf("event %d: %+v", i, got)
		}
	}
}
