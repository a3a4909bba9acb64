package fold_test

import (
	"flag"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/fold"
)

// TestMain fixes what the tests draw; flags on the command line win.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.checks": "60", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	m.Run()
}

// world folds a journal as dispatch does, but cut anywhere: turns of any
// length, flushes that take long, memory that holds nothing, crashes.
type world struct {
	t       *rapid.T
	history *history
	store   *store
	fold    *fold.Fold
	flight  *fold.Layer             // frozen, not yet written
	proof   fold.Layer              // a copy of flight: nobody may change it
	made    map[weir.RunID]weir.Run // as they were made
	brief   map[weir.RunID]bool     // gone by the end of the turn that made them, with their chunks
	longest int                     // turn
	naive   *naive                  // follows the store
}

func newWorld(t *rapid.T, h *history) *world {
	w := &world{
		t: t, history: h, store: newStore(), longest: 12,
		made: make(map[weir.RunID]weir.Run), brief: make(map[weir.RunID]bool), naive: newNaive(testShard),
	}
	w.restart()
	return w
}

func (w *world) restart() {
	f := fold.New(testShard, w.store.checkpoint())
	w.fold, w.flight = f, nil
}

// run folds all records in random cuts and then brings everything to the store.
func (w *world) run() {
	for {
		cursor, _ := w.fold.Cursor()
		if int(cursor) == len(w.history.records) {
			break
		}
		switch oneOf(w.t, "action", []string{"turn", "turn", "turn", "freeze", "land", "crash"}) {
		case "turn":
			w.turn(rapid.IntRange(1, w.longest).Draw(w.t, "length"))
		case "freeze":
			w.freeze()
		case "land":
			w.land()
		case "crash":
			if w.flight != nil && rapid.Bool().Draw(w.t, "written") {
				w.write()
			}
			w.restart()
		}
	}
	w.land()
	w.freeze()
	w.land()
}

func (w *world) turn(length int) {
	cursor, _ := w.fold.Cursor()
	at := w.history.records[cursor:]
	n, needs := w.fold.Plan(at[:min(length, len(at))])
	if n < 1 {
		w.t.Fatalf("the turn after %d has no record", cursor)
	}
	groups, runs, err := w.store.load(needs)
	if err != nil {
		w.t.Fatalf("needs after %d: %v", cursor, err)
	}
	w.fold.Give(groups, runs)
	var made []weir.RunID
	for _, touch := range w.fold.Turn() {
		if touch.Kind == 0 {
			made = append(made, touch.ID)
			w.note(touch)
		}
	}
	w.turned(cursor, cursor+weir.Seq(n), made)
}

// turned checks what a turn tells dispatch: the runs it made, in order, and
// when the next group is due.
func (w *world) turned(from, to weir.Seq, made []weir.RunID) {
	if now, _ := w.fold.Cursor(); now != to {
		w.t.Fatalf("a turn from %d to %d ended at %d", from, to, now)
	}
	if due, _ := w.fold.NextDue(); due != w.history.dues[to-1] {
		w.t.Fatalf("after %d the next group is due at %s, want %s", to, due, w.history.dues[to-1])
	}
	before := 0
	if from > 0 {
		before = w.history.made[from-1]
	}
	var want []weir.RunID
	for _, run := range w.history.naive.made[before:w.history.made[to-1]] {
		want = append(want, run.ID)
	}
	w.same("runs made by the turn", want, made)
}

// note remembers how a run was made. After a crash it is made again, the same.
func (w *world) note(touch fold.Touch) {
	if _, known := w.fold.Run(touch.ID); !known && touch.Run.Firing.Chunks > 0 {
		w.brief[touch.ID] = true
		return
	}
	run := w.whole(*touch.Run)
	run.N, run.State, run.Due, run.Tries, run.Error, run.Ended, run.Done = 0, 0, 0, 0, "", 0, nil
	run.Lane.Origin, run.Queued, run.Holds = "", weir.Precedence{}, false
	if before, ok := w.made[run.ID]; ok {
		if diff := cmp.Diff(before, run, cmpopts.EquateEmpty(), quickly); diff != "" {
			w.t.Fatalf("made again, otherwise (-before +now):\n%s", diff)
		}
	}
	w.made[run.ID] = run
}

// whole joins a run's members, from memory and from the store, as dispatch does.
func (w *world) whole(run weir.Run) weir.Run {
	run = copyRun(run)
	chunks, inState := w.fold.Chunks(&run)
	if inState {
		chunks = append(chunks, w.store.chunksOf(run.Firing.Group)...)
	}
	run.Firing.Join(chunks)
	return run
}

func (w *world) freeze() {
	if w.flight != nil || !w.fold.Moved() {
		return
	}
	w.flight = w.fold.Freeze()
	w.proof = copyLayer(w.flight)
}

func (w *world) land() {
	if w.flight == nil {
		return
	}
	w.write()
	keep := oneOf(w.t, "keep", []int{0, 0, 1, 1000})
	w.fold.Flushed(w.flight, keep, func(weir.RunID) bool { return rapid.Bool().Draw(w.t, "busy") })
	w.flight = nil
}

func (w *world) write() {
	if diff := cmp.Diff(w.proof, *w.flight, cmpopts.EquateEmpty(), quickly); diff != "" {
		w.t.Fatalf("a frozen layer was changed (-before +now):\n%s", diff)
	}
	if err := w.store.flush(w.flight); err != nil {
		w.t.Fatalf("flush up to %d: %v", w.flight.To, err)
	}
	w.compare()
}

func copyLayer(l *fold.Layer) fold.Layer {
	c := *l
	c.Groups, c.Runs, c.Chunks = nil, nil, nil
	for _, g := range l.Groups {
		c.Groups = append(c.Groups, copyGroup(g))
	}
	for _, r := range l.Runs {
		c.Runs = append(c.Runs, copyRun(r))
	}
	for _, chunk := range l.Chunks {
		chunk.Members = slices.Clone(chunk.Members)
		c.Chunks = append(c.Chunks, chunk)
	}
	c.Counters, c.Installed = slices.Clone(l.Counters), slices.Clone(l.Installed)
	return c
}

// compare asks the naive engine what should be in state at the cursor.
func (w *world) compare() {
	want := w.naive
	for _, rec := range w.history.records[want.cursor:w.store.cursor] {
		want.fold(rec)
	}
	wantGroups, wantRuns := map[weir.GroupID]weir.Group{}, map[weir.RunID]weir.Run{}
	wantChunks := map[weir.GroupID]map[int][]weir.Member{}
	for _, g := range want.groups {
		row, chunks := g.row()
		wantGroups[g.id] = row
		if len(chunks) > 0 {
			wantChunks[g.id] = chunks
		}
	}
	for _, r := range want.runs {
		wantRuns[r.ID] = *r
		if n := len(r.Firing.Members) / weir.ChunkSize; n > 0 && !r.Firing.Group.IsZero() {
			wantChunks[r.Firing.Group] = w.chunksInOrder(r.Firing.Members)
		}
	}
	gotRuns := map[weir.RunID]weir.Run{}
	for id, r := range w.store.runs {
		r = copyRun(r)
		r.Firing.Join(w.store.chunksOf(r.Firing.Group))
		gotRuns[id] = r
	}
	w.same("groups", wantGroups, w.store.groups, cmpopts.IgnoreFields(weir.Group{}, "KeyHash"))
	w.same("runs", wantRuns, gotRuns)
	w.same("chunks", wantChunks, w.store.chunks)
	w.same("counters", want.counters, w.store.counters, cmp.AllowUnexported(naiveCounter{}))
}

// quickly saves cmp from looking at each of very many members that are the same.
var quickly = cmp.FilterValues(func(a, b []weir.Member) bool { return len(a) > 0 && slices.Equal(a, b) },
	cmp.Comparer(func(_, _ []weir.Member) bool { return true }))

func (w *world) same(what string, want, got any, opts ...cmp.Option) {
	w.t.Helper()
	if diff := cmp.Diff(want, got, append(opts, cmpopts.EquateEmpty(), quickly)...); diff != "" {
		w.t.Fatalf("%s at %d (-want +got):\n%s", what, w.store.cursor, diff)
	}
}

// chunksInOrder cuts members as they joined: in order of acceptance.
func (w *world) chunksInOrder(members []weir.Member) map[int][]weir.Member {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b weir.Member) int { return int(a.Seq) - int(b.Seq) })
	chunks, _ := cut(members)
	return chunks
}

func cut(members []weir.Member) (chunks map[int][]weir.Member, tail []weir.Member) {
	chunks = map[int][]weir.Member{}
	for len(members) >= weir.ChunkSize {
		chunks[len(chunks)] = members[:weir.ChunkSize]
		members = members[weir.ChunkSize:]
	}
	return chunks, members
}

// row is the naive group as state should have it.
func (g *naiveGroup) row() (weir.Group, map[int][]weir.Member) {
	var members []weir.Member
	for _, rec := range g.events {
		members = append(members, weir.Member{Time: timeOf(rec), Seq: rec.Seq})
	}
	chunks, tail := cut(members)
	row := weir.Group{
		ID: g.id, Project: g.project, Trigger: g.trigger.def.Name, Revision: g.trigger.revision, Key: g.key, Late: g.late,
		Opened: g.opened(), Joined: g.joined(), First: g.first(), Last: g.last(), Count: len(g.events),
		Chunks: len(chunks), Tail: tail,
	}
	row.Due, row.DueReason = g.due()
	row.Executions, row.Hops, row.Quiet = summary(g.events)
	for _, c := range g.trigger.def.Fire {
		row.Have = append(row.Have, g.have(c))
	}
	return row, chunks
}

func (w *world) compareMade(want *naive) {
	made := map[weir.RunID]weir.Run{}
	for _, run := range want.made {
		if _, ok := w.made[run.ID]; !ok && w.brief[run.ID] {
			continue
		}
		run.State, run.Due, run.Lane.Origin, run.Queued = 0, 0, "", weir.Precedence{}
		made[run.ID] = run
	}
	w.same("firings", made, w.made)
}

func TestAnyCutOfTheRecordsGivesWhatThePlainEngineGives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		w := newWorld(t, h)

		w.run()

		w.compareMade(h.naive)
	})
}

// In few cases, because they are long: groups of several chunks.
func TestAnyCutOfLargeGroupsLeavesExactlyTheChunksOfWhatIsThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawLargeGroups(t)
		w := newWorld(t, h)

		w.longest = 300
		w.run()

		w.compareMade(h.naive)
	})
}
