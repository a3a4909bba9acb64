package postgres

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/internal/fold"
)

// incompressible returns n letters that no index can make shorter.
func incompressible(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz0123456789"[random.IntN(36)])
	}
	return b.String()
}

func TestAnOriginOfAnyLengthDoesNotStopFlushes(t *testing.T) {
	t.Parallel()
	s := held(t, openTest(t, Options{}))
	long := "https://" + incompressible(8000)
	want := []fold.BreakerRow{{Project: 1, Origin: long, Failures: 3}, {Project: 1, Origin: long + "x", Failures: 1}}

	for i, failures := range []int{2, 3} {
		want[0].Failures = failures
		if err := s.Flush(t.Context(), &fold.Layer{Breakers: want, From: weir.Seq(i), To: weir.Seq(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}

	p, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.Breakers); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}
}
