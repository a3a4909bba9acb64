package archtest

import (
	"os"
	"testing"
)

func TestRepositoryKeepsItsRules(t *testing.T) {
	found, err := Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}

	for _, f := range found {
		t.Error(f)
	}
}

func TestTableOfRoomsIsConsistent(t *testing.T) {
	for _, r := range rooms {
		if _, ok := may[r.layer]; !ok && r.layer != layerLoose {
			t.Errorf("room %s: layer %q says nothing about imports", r.path, r.layer)
		}
		for _, other := range append(append([]string(nil), r.also...), r.never...) {
			if rank(other) < 0 && find(other) == nil {
				t.Errorf("room %s names %s, which is not in the table", r.path, other)
			}
		}
	}
	for module, homes := range homes {
		for _, home := range homes {
			if find(home) == nil {
				t.Errorf("%s is at home in %s, which is not in the table", module, home)
			}
		}
	}
}
