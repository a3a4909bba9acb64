package cli

import (
	"errors"
	"strings"
	"testing"
)

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWhatCouldNotBeWrittenIsNoSuccess(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"version", "-o", "json"}, {"config", "print"}} {
		var said strings.Builder

		status := Run(t.Context(), args, Programs{Version: "v1"}, Streams{Out: full{}, Err: &said, Env: variables(nil)})

		if status != 1 || !strings.Contains(said.String(), "no space left") {
			t.Errorf("%q: status %d, said %q", args, status, &said)
		}
	}
}
