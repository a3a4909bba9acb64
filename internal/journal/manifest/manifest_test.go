package manifest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func sample() *Manifest {
	return &Manifest{
		DataID: "00112233445566778899aabbccddeeff", Through: 4, Floor: 90, Serial: 3, Filters: []string{"00000003.filter"},
		Chapters: []Chapter{
			{File: "00000001-2.chapter", Index: "00000001-2.index", First: 1, Last: 100, Records: 7, Bytes: 5000},
			{File: "00000004.chapter", Index: "00000004.index", First: 151, Last: 200, Records: 50, Bytes: 9000},
		},
	}
}

func TestAManifestIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := sample()

	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAManifestThatIsNotWholeIsRefused(t *testing.T) {
	t.Parallel()
	b, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for at := range b {
		changed := bytes.Clone(b)
		changed[at] ^= 4
		for _, bad := range [][]byte{changed, b[:at]} {
			if _, err := Decode(bad); weir.CodeOf(err) != weir.Unavailable {
				t.Fatalf("changed or cut at byte %d: %v", at, err)
			}
		}
	}
}

func TestChaptersOutOfOrderAreRefused(t *testing.T) {
	t.Parallel()
	m := sample()
	m.Chapters[1].First = 100
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}

	_, err = Decode(b)

	if err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("got %v", err)
	}
}
