package crash

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
)

// lightLoad is a tenth of fullLoad.
func lightLoad() shape {
	return shape{publishers: 4, single: 500, gatherings: []gathering{{"few", 5, 10, 10}, {"some", 40, 5, 4}, {"many", 300, 1, 1}}}
}

func TestACleanStopUnderLoadLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	l := newLoad(t, 100, lightLoad())
	l.run(t, func(ctx context.Context) { // without kills, the checker allows no effect twice
		for left := 3; left > 0; left-- {
			l.await(ctx, t, left)
			l.server.process.stop(t)
			if r := l.server.start(t).caughtUp(t); r.Records != 0 || r.Lost != 0 {
				t.Errorf("after a clean stop: %v", r)
			}
			l.gate.open()
		}
	})
}

func TestACleanStopLetsATryEnd(t *testing.T) {
	t.Parallel()
	began, stopping := make(chan struct{}), make(chan struct{})
	to := newReceiver(t, func(path, _ string, _ int) bool {
		if path == "/a" {
			close(began)
			select {
			case <-stopping:
			case <-time.After(patience): // the test fails by then
			}
		}
		return false
	})
	s := newServer(t)
	p := s.start(t)
	s.apply(t, twoSteps(to.url, quickRetry))

	s.publishTwo(t)
	await(t, began)
	go func() {
		<-p.stopping
		close(stopping)
	}()
	p.stop(t)
	if r := s.start(t).caughtUp(t); r.Records != 0 || r.Due != 0 || r.Lost != 0 {
		t.Errorf("after a clean stop: %v", r)
	}

	wantState(t, s.theRun(t), "succeeded", "succeeded")
	wantCalls(t, to, "/a", 1)
	wantCalls(t, to, "/b", 1)
	s.process.stop(t)
}

// lived returns a server that took an event and was stopped.
func lived(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.start(t)
	s.publishOne(t)
	s.process.stop(t)
	return s
}

func (s *server) publishOne(t *testing.T) {
	t.Helper()
	if _, err := s.Publish(t.Context(), &weir.Event{Source: source, Type: "one"}); err != nil {
		t.Fatal(err)
	}
}

// replace puts what another directory has under a name in the place of what is
// there.
func (s *server) replace(t *testing.T, name, from string) {
	t.Helper()
	to := filepath.Join(s.dir, name)
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err == nil {
		var b []byte
		if b, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryWhosePartsDoNotBelongTogetherIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]struct {
		do   func(t *testing.T, s *server)
		says []string
	}{
		"state deleted": {
			func(t *testing.T, s *server) {
				if err := os.Remove(filepath.Join(s.dir, "state.db")); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"state.db is missing", "put back the state.db", "backup"},
		},
		"state emptied": {
			func(t *testing.T, s *server) {
				if err := os.Truncate(filepath.Join(s.dir, "state.db"), 0); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"state.db is missing or empty", "put back the state.db", "backup"},
		},
		"state of another": {
			func(t *testing.T, s *server) { s.replace(t, "state.db", filepath.Join(lived(t).dir, "state.db")) },
			[]string{"state.db belongs to the data", "put back the state.db", "backup"},
		},
		"journal deleted": {
			func(t *testing.T, s *server) {
				if err := os.RemoveAll(filepath.Join(s.dir, "journal")); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"journal is missing, though the state beside it has begun", "backup"},
		},
		"journal older than the state": {
			func(t *testing.T, s *server) {
				old := t.TempDir()
				if err := os.CopyFS(old, os.DirFS(filepath.Join(s.dir, "journal"))); err != nil {
					t.Fatal(err)
				}
				s.start(t)
				s.publishOne(t)
				s.process.stop(t)
				s.replace(t, "journal", old)
			},
			[]string{"the state is ahead of the journal", "restore both from one backup"},
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := lived(t)

			spoil.do(t, s)
			said := s.launch(t).refused(t)
			again := s.launch(t).refused(t) // the first start mended nothing by itself

			for _, words := range spoil.says {
				if !strings.Contains(said, words) || !strings.Contains(again, words) {
					t.Errorf("does not say %q:\n%s\n%s", words, said, again)
				}
			}
		})
	}
}

func TestASecondServerInTheSameDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.start(t)
	second := *s
	second.addr = freeAddress(t)

	said := second.launch(t).refused(t)

	if !strings.Contains(said, "journal") {
		t.Errorf("does not say what is taken:\n%s", said)
	}
	s.publishOne(t)
	first.stop(t)
}
