package dispatch

import (
	"testing"

	"weir"
)

func TestAStateAndAJournalThatDoNotMeetAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cursor, first, head weir.Seq
		belong              bool
	}{
		{0, 1, 0, true}, {0, 1, 9, true}, {9, 1, 9, true}, {4, 5, 9, true}, {10, 1, 9, false}, {3, 5, 9, false}, {0, 2, 9, false},
	} {
		err := belong(c.cursor, c.first, c.head)

		if (err == nil) != c.belong || err != nil && weir.CodeOf(err) != weir.Conflict {
			t.Errorf("cursor %d, journal from %d to %d: %v", c.cursor, c.first, c.head, err)
		}
	}
}
