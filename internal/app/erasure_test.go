package app_test

import (
	"testing"

	"weir"
	"weir/client"
	"weir/internal/config"
	"weir/internal/pg/pgtest"
)

func TestAnErasureOrderedAtOneNodeHoldsAtAllAndEnds(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	one := run(t, among(t, database, "one", config.AllDuties()...), nodesToken)
	door := run(t, among(t, database, "door", weir.DutyAPI), nodesToken)
	for _, subject := range []string{"ann", "bob"} {
		if _, err := one.Publish(t.Context(), &weir.Event{Source: "/s", Type: "x", Subject: subject, Data: large(1)}); err != nil {
			t.Fatal(err)
		}
	}
	shown := func(at *running, subject string) int {
		page, err := at.Events(t.Context(), client.EventFilter{Subject: subject}, client.Paging{})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Items)
	}
	await(t, func() bool { return shown(one, "ann") == 1 && shown(one, "bob") == 1 })

	if _, err := door.Erase(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}

	if shown(door, "ann") != 0 || shown(door, "bob") != 1 {
		t.Errorf("at once: of ann %d, of bob %d", shown(door, "ann"), shown(door, "bob"))
	}
	await(t, func() bool { return shown(one, "ann") == 0 })
	await(t, func() bool {
		all, err := door.Erasures(t.Context())
		return err == nil && len(all.Items) == 1 && all.Items[0].State == "ended" && all.Items[0].Records == 1
	})
	if shown(door, "ann") != 0 || shown(one, "bob") != 1 {
		t.Errorf("after it: of ann %d, of bob %d", shown(door, "ann"), shown(one, "bob"))
	}
	if _, err := door.CreateProject(t.Context(), "shop", client.ProjectSettings{Retention: "90d"}); err != nil {
		t.Fatal(err)
	}
	if err := door.DeleteProject(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.ProjectNamed(t.Context(), "shop"); weir.CodeOf(err) != weir.NotFound {
		t.Error(err)
	}
}
