package journaltest

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/journal"
)

// Journal is what the suite asks of an engine.
//
// archtest:wide a suite asks for all that an engine has
type Journal interface {
	Append(ctx context.Context, batches ...weir.Batch) ([]weir.Receipt, error)
	Read(ctx context.Context, after weir.Seq, limit int) ([]*weir.Record, error)
	Wait(ctx context.Context, after weir.Seq) error
	Head() weir.Seq
	Records(ctx context.Context, seqs []weir.Seq) ([]*weir.Record, error)
	Find(ctx context.Context, q journal.Query) (journal.Found, error)
	Place(ctx context.Context, id weir.Identity) (weir.Item, bool)
	Upkeep
}

// Upkeep is what keeps a journal from growing for ever.
type Upkeep interface {
	Trim(ctx context.Context, k journal.Keep) (journal.Trimmed, error)
	Erase(ctx context.Context, e journal.Erasure) (journal.Trimmed, error)
	Hide(erasures []journal.Erasure)
	First() weir.Seq
}

// Open opens the journal in dir, making it if it is not there. The suite closes
// it before it opens the same again.
type Open func(tb testing.TB, dir string) (Journal, io.Closer)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		rule string
		test func(*fixture)
	}{
		{"what was appended is read, also after reopening", roundTrip},
		{"appenders and a reader never miss or reorder a seq", appendersAndReader},
		{"a free batch leaves out what is repeated and says so", freeRepeats},
		{"an event twice in one batch is taken once", twiceInABatch},
		{"a repeated change is refused whole with its events", boundRefused},
		{"a new change is taken without its repeated events", boundWithRepeatedEvents},
		{"of the same identity in one append the first wins", sameIdentityInOneAppend},
		{"of appenders with the same identity one wins", sameIdentityAtOnce},
		{"stale changes and ticks are always taken", withoutIdentity},
		{"a project's identities are its own", projectsApart},
		{"identities are kept over reopening", identitiesKept},
		{"at never decreases and is one for an append", acceptanceTimes},
		{"a batch with one bad record leaves nothing", badRecord},
		{"a context that ended before leaves nothing", endedContext},
		{"wait ends with a record or the context", waiting},
		{"empty appends are answered", emptyAppends},
		{"find answers what a plain look at every record answers", findLikePlain},
		{"pages of find are complete and as of their cursor", findPages},
		{"find looks no further than it is asked to", findLooksNoFurther},
		{"find looks at about as much as it finds", findLooksAtWhatItFinds},
		{"find by time", findByTime},
		{"find by blob, of whatever project", findBlob},
		{"find refuses what cannot be a value", findInvalid},
		{"a look-up sees all that was answered before", findAfterAppend},
		{"a change of a try from before the window is refused", tryTooOld},
		{"what need not be kept is trimmed, survivors stay as they were", trimLeavesSurvivors},
		{"where nothing stays, the journal goes on", trimLeavesNothing},
		{"what is past the cursor, young or stays is not trimmed", trimLeavesWhatItMust},
		{"appends and reads go on while it is trimmed", trimBesideAppends},
		{"a subject is hidden, shown and erased", eraseSubject},
		{"a project is erased", eraseProject},
		{"pages are full without what is hidden", hidePages},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			f := &fixture{T: t, open: open, dir: t.TempDir()}
			f.start()
			t.Cleanup(f.stop)
			c.test(f)
		})
	}
}

// fixture is a test with its journal.
type fixture struct {
	*testing.T
	open   Open
	dir    string
	j      Journal
	closer io.Closer
}

func (f *fixture) start() {
	f.Helper()
	f.j, f.closer = f.open(f.T, f.dir)
}

func (f *fixture) stop() {
	f.Helper()
	if err := f.closer.Close(); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) reopen() {
	f.Helper()
	f.stop()
	f.start()
}

func (f *fixture) append(batches ...weir.Batch) []weir.Receipt {
	f.Helper()
	got, err := f.j.Append(f.Context(), batches...)
	if err != nil {
		f.Fatal(err)
	}
	return got
}

// all reads the whole journal and checks that it has no gap.
func (f *fixture) all() []*weir.Record {
	f.Helper()
	var out []*weir.Record
	for {
		got, err := f.j.Read(f.Context(), weir.Seq(len(out)), 7)
		if err != nil {
			f.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		out = append(out, got...)
	}
	for i, r := range out {
		if r.Seq != weir.Seq(i+1) {
			f.Fatalf("record %d has seq %d", i+1, r.Seq)
		}
	}
	if f.j.Head() != weir.Seq(len(out)) {
		f.Fatalf("%d records, and head is %d", len(out), f.j.Head())
	}
	return out
}

func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		f.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func (f *fixture) code(err error, want weir.Code) {
	f.Helper()
	if weir.CodeOf(err) != want {
		f.Fatalf("got %v, want an error with code %q", err, want)
	}
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
