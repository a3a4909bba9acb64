package client

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
)

func TestReceiptsAreReadAsTheyWereAppended(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := Receipts{Events: []Receipt{}}
		for range rapid.IntRange(0, 4).Draw(t, "events") {
			want.Events = append(want.Events, Receipt{
				ID: rapid.StringN(0, 8, -1).Draw(t, "id"), UID: weir.EventUID{7}.String(),
				Seq: weir.Seq(rapid.Uint64().Draw(t, "seq")), Duplicate: rapid.Bool().Draw(t, "duplicate"),
			})
		}

		b := AppendReceipts([]byte("before"), want.Events)

		var got Receipts
		if err := json.Unmarshal(b[len("before"):], &got); err != nil || string(b[:6]) != "before" {
			t.Fatalf("%s: %v", b, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
