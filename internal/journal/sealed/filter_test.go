package sealed

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"weir"
)

func TestFilterKnowsAllItWasGivenAndFewOthers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() (id weir.Identity) {
		binary.LittleEndian.PutUint64(id[:], r.Uint64())
		binary.LittleEndian.PutUint64(id[8:], r.Uint64())
		return id
	}
	const n = 1 << 15
	of, d := Chapter{ID: 5}, &file{}
	b := NewBuilder(d, of)
	ids := make([]weir.Identity, n)
	for i := range ids {
		ids[i] = draw()
		if err := b.Add(Row{Place: i, At: weir.Time(i), Identity: ids[i]}, nil); err != nil {
			t.Fatal(err)
		}
	}
	goOn := func() error { return nil }
	if err := b.Finish(goOn); err != nil {
		t.Fatal(err)
	}
	x, err := Open("a.index", signed(d.b, saltOf(of)), of)
	if err != nil {
		t.Fatal(err)
	}
	f := &Filter{capacity: n, words: make([]uint64, blocksFor(n)*blockWords)}
	if f, err = f.With(x, 100, goOn); err != nil {
		t.Fatal(err)
	}
	written := &file{}
	if err := f.Write(written, of.DataID, goOn); err != nil {
		t.Fatal(err)
	}

	g, err := OpenFilter("a.filter", signed(written.b, filterSalt(of.DataID)), of.DataID)
	if err != nil {
		t.Fatal(err)
	}

	wrong := 0
	for _, id := range ids {
		if !g.May(id) {
			t.Fatalf("%x is not there", id)
		}
		if g.May(draw()) {
			wrong++
		}
	}
	if wrong > n*2/1000 {
		t.Errorf("%d of %d strange identities pass", wrong, n)
	}
	if want := (Span{First: 100, Last: 100 + n - 1, To: n - 1, Count: n}); g.Span() != want || g.Bytes() != f.Bytes() {
		t.Errorf("%+v, want %+v", g.Span(), want)
	}
}
