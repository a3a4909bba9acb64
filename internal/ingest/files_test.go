package ingest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"weir"
)

const formType = "multipart/form-data; boundary=b"

// part returns a part of a form with the boundary b.
func part(disposition, body string, header ...string) string {
	return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n" + strings.Join(append(header, ""), "\r\n") + "\r\n" + body + "\r\n"
}

const (
	end     = "--b--\r\n"
	typed   = "--b\r\nContent-Disposition: form-data; name=type\r\n\r\nupload\r\n"
	oneFile = "--b\r\nContent-Disposition: form-data; name=f; filename=a.txt\r\n\r\ntext\r\n"
)

func TestAFormMakesOneEventPerFile(t *testing.T) {
	t.Parallel()
	door, journal, _, blobs := stocked(t, Limits{})
	body := part(`name="topic"`, "image.uploaded") +
		part(`name="a"; filename="/tmp/../cat.png"`, "\x00\xff\r\n--", "Content-Type: image/png") +
		part(`name="execution"`, "e1") +
		part(`name="b"; filename="C:\files\notes.txt"`, "") + part(`name=batch`, "7") + end

	got, err := door.TakeFiles(t.Context(), entry, Files{In: strings.NewReader(body), ContentType: formType, Key: "k", Source: "/api/x"})
	if err != nil {
		t.Fatal(err)
	}

	if len(got) != 2 || got[0].ID != "k.1" || got[1].ID != "k.2" || got[1].Duplicate {
		t.Errorf("%+v", got)
	}
	event := func(id, kind, name string, blob weir.Blob) *weir.Event {
		return &weir.Event{
			ID: id, Source: "/api/x", Type: "image.uploaded", Subject: name, ContentType: kind, Execution: "e1", Blob: &blob,
			Extensions: []weir.Extension{{Name: "batch", Value: "7"}, {Name: "filename", Value: name}},
		}
	}
	want := []*weir.Event{
		event("k.1", "image/png", "cat.png", weir.Blob{ID: "1", Size: 6, File: true}),
		event("k.2", "application/octet-stream", "notes.txt", weir.Blob{ID: "2", File: true}),
	}
	if diff := cmp.Diff(want, []*weir.Event{journal.records[0].Event, journal.records[1].Event}); diff != "" {
		t.Error(diff)
	}
	if blobs.blobs["1"] != "\x00\xff\r\n--" {
		t.Errorf("the blob is %q", blobs.blobs["1"])
	}
}

func TestAFormMayHaveLineEndsOfItsOwnAndNoneAtItsEnd(t *testing.T) {
	t.Parallel()
	for _, body := range []string{typed + oneFile + end, typed + oneFile + "--b--", typed + oneFile + "--b-- \r\nepilogue"} {
		for _, body := range []string{body, strings.ReplaceAll(body, "\r\n", "\n")} {
			for _, cut := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
				door, journal, _, _ := stocked(t, Limits{})

				_, err := door.TakeFiles(t.Context(), entry, Files{In: cut(strings.NewReader(body)), ContentType: formType, Source: "/s"})

				if err != nil || len(journal.records) != 1 {
					t.Errorf("%q: %v", body, err)
				}
			}
		}
	}
}

func TestASubjectThatIsGivenIsThatOfAllFiles(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{})
	body := typed + oneFile + part("name=subject", "s") + part("name=source", "/cam") + part("name=f; filename=..", "x") + "--b--"

	if _, err := door.TakeFiles(t.Context(), entry, Files{In: strings.NewReader(body), ContentType: formType}); err != nil {
		t.Fatal(err)
	}

	for i, name := range []string{"a.txt", ""} {
		e := journal.records[i].Event
		if e.Subject != "s" || e.Source != "/cam" || len(e.ID) != 32 || name != "" && e.Extensions[0].Value != name || name == "" && e.Extensions != nil {
			t.Errorf("%+v", e)
		}
	}
}

func TestAFormThatIsSentAgainDoublesNothing(t *testing.T) {
	t.Parallel()
	door, journal, _, blobs := stocked(t, Limits{})

	for again := range 2 {
		got, err := door.TakeFiles(t.Context(), entry, Files{
			In: strings.NewReader(typed + oneFile + oneFile + end), ContentType: formType, Key: "k", Source: "/s",
		})
		if err != nil || got[0].Duplicate != (again == 1) {
			t.Errorf("%+v, %v", got, err)
		}
	}

	if len(journal.records) != 2 || len(blobs.blobs) != 2 {
		t.Errorf("%d records, %d blobs", len(journal.records), len(blobs.blobs))
	}
}

func TestAFormThatCannotBeTakenLeavesNothingButARefusal(t *testing.T) {
	t.Parallel()
	limits := Limits{File: 10, Files: 2, Fields: 20}
	for name, c := range map[string]struct {
		body, contentType string
		code              weir.Code
		field, text       string
	}{
		"no type":         {oneFile + end, "", weir.Invalid, "type", "is required: give the form a field type or topic"},
		"type and topic":  {typed + part("name=topic", "x") + oneFile + end, "", weir.Invalid, "type", "given twice"},
		"empty type":      {part("name=type", "") + oneFile + end, "", weir.Invalid, "type", "may not be empty"},
		"no file":         {typed + end, "", weir.Invalid, "file", "the form has no file"},
		"an id":           {typed + part("name=id", "1") + oneFile + end, "", weir.Invalid, "id", "is no name of a field"},
		"a nameless part": {typed + part("x=y", "1") + oneFile + end, "", weir.Invalid, "", "a part of the form has no name"},
		"a bad attribute": {typed + part("name=Bad", "1") + oneFile + end, "", weir.Invalid, "Bad", "is no attribute name: use lower-case letters and digits"},
		"a bad type": {
			typed + part("name=f; filename=a", "x", "Content-Type: nonsense/") + end, "", weir.Invalid, "datacontenttype", `"nonsense/" is not a media type`,
		},
		"an encoding": {
			typed + part("name=f; filename=a", "eA==", "Content-Transfer-Encoding: Base64") + end, "", weir.Invalid, "content-transfer-encoding",
			`"base64" is not taken: send the bytes as they are`,
		},
		"long file":    {typed + oneFile + part("name=f; filename=b", strings.Repeat("x", 11)) + end, "", weir.TooLarge, "file", `"b" is longer than 10 bytes, which are the most`},
		"many files":   {typed + oneFile + oneFile + oneFile + end, "", weir.TooLarge, "files", "more than 2 files in a form"},
		"long fields":  {typed + part("name=subject", "xxxx") + oneFile + end, "", weir.TooLarge, "subject", "the fields of the form have more than 20 bytes, which are the most"},
		"no boundary":  {typed + oneFile + end, "multipart/form-data", weir.Invalid, "content-type", "the form has no boundary"},
		"no end":       {typed + oneFile, "", weir.Invalid, "", "the form has no end: its last boundary is missing"},
		"cut boundary": {typed + oneFile + "--b", "", weir.Invalid, "", "the form has no end: its last boundary is missing"},
		"cut header":   {typed + oneFile + "--b\r\nX: y", "", weir.Invalid, "", "the form has no end: its last boundary is missing"},
		"cut file":     {typed + oneFile[:len(oneFile)-4], "", weir.Invalid, "", "the form has no end: its last boundary is missing"},
		"no form":      {"hello", "", weir.Invalid, "", "the form has no end: its last boundary is missing"},
		"other lines":  {typed + "--b\r\nno header\r\n\r\n" + end, "", weir.Invalid, "", `the form is malformed: malformed MIME header`},
		"long header":  {typed + "--b\r\nX: " + strings.Repeat("x", 2*maxPartHeader) + "\r\n\r\n" + end, "", weir.TooLarge, "header", "the header of a part is longer than 65536 bytes, which are the most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door, journal, refusals, blobs := stocked(t, limits)
			if c.contentType == "" {
				c.contentType = formType
			}

			_, err := door.TakeFiles(t.Context(), entry, Files{In: strings.NewReader(c.body), ContentType: c.contentType, Source: "/s"})

			e, ok := errors.AsType[*weir.Error](err)
			if !ok || e.Code != c.code || e.Field != c.field || !strings.HasPrefix(e.Message, c.text) {
				t.Fatalf("error %+v", e)
			}
			if len(journal.records) != 0 || len(blobs.blobs) != 0 || door.inFlight.used.Load() != 0 {
				t.Errorf("%d records, %d blobs", len(journal.records), len(blobs.blobs))
			}
			if all := refusalsOf(t, door, refusals); len(all) != 1 || all[0].Reason != e.Message || all[0].Field != c.field {
				t.Errorf("refusals %+v", all)
			}
		})
	}
}

func TestAMalformedHeaderIsNoMissingEnd(t *testing.T) {
	t.Parallel()
	door, _, _, _ := stocked(t, Limits{})
	whole := typed + part("name=f; filename=a", "x", "X: \x01") + end // and that it ends comes with its last bytes

	_, err := door.TakeFiles(t.Context(), entry, Files{In: iotest.DataErrReader(strings.NewReader(whole)), ContentType: formType})

	if err == nil || !strings.HasPrefix(err.Error(), "the form is malformed: malformed MIME header") {
		t.Error(err)
	}
}

func TestAFormAtItsLimitsIsTaken(t *testing.T) {
	t.Parallel()
	door, journal, _, _ := stocked(t, Limits{File: 10, Files: 2, Fields: 20})
	ten := part("name=f; filename=b", strings.Repeat("x", 10))

	_, err := door.TakeFiles(t.Context(), entry, Files{
		In: strings.NewReader(typed + part("name=subject", "xxx") + ten + ten + end), ContentType: formType, Source: "/s",
	})

	if err != nil || len(journal.records) != 2 {
		t.Errorf("%v, %d records", err, len(journal.records))
	}
}

func TestAFormWhoseConnectionIsCutLeavesARefusal(t *testing.T) {
	t.Parallel()
	whole := typed + oneFile + oneFile + end
	for n := range len(whole) - len("\r\n") {
		door, journal, refusals, blobs := stocked(t, Limits{})
		in := io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(io.ErrUnexpectedEOF))

		_, err := door.TakeFiles(t.Context(), entry, Files{In: in, ContentType: formType, Source: "/s"})

		all := refusalsOf(t, door, refusals)
		if weir.CodeOf(err) != weir.Invalid || len(all) != 1 || !strings.HasPrefix(all[0].Reason, "the body ends before its end") {
			t.Errorf("cut at %d: %v", n, err)
		}
		if len(journal.records) != 0 || len(blobs.blobs) != 0 {
			t.Errorf("cut at %d: %d records, %d blobs", n, len(journal.records), len(blobs.blobs))
		}
	}
}

func TestFilesForWhichThereIsNoRoomAreNotTheSendersFault(t *testing.T) {
	t.Parallel()
	door, _, refusals, blobs := stocked(t, Limits{})
	blobs.createErr = weir.E("create blob", weir.DiskFull, "no room")

	_, err := door.TakeFiles(t.Context(), entry, Files{In: strings.NewReader(typed + oneFile + end), ContentType: formType, Source: "/s"})

	if weir.CodeOf(err) != weir.DiskFull || len(refusalsOf(t, door, refusals)) != 0 {
		t.Errorf("%v", err)
	}
}

func TestTheNameOfAFileIsWithoutDirectoriesAndControlCharacters(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.txt": "a.txt", "/etc/passwd": "passwd", `..\..\a`: "a", "a/..": "", ".": "", "/": "", "a\x00\nb\u0085": "ab", "\xff.bin": "?.bin",
	} {
		if got := baseName(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// FuzzForm checks that reading a form never panics, that its errors have codes,
// and that nothing is left of what is not taken.
func FuzzForm(f *testing.F) {
	f.Add([]byte(typed + oneFile + end))
	f.Add([]byte(typed + oneFile + "--b\r\n"))
	f.Add([]byte(part("name=topic", "x") + part(`name="f"; filename*=UTF-8''%e2%82%ac`, "y", "Content-Transfer-Encoding: quoted-printable") + "--b--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		door, journal, _, blobs := stocked(t, Limits{File: 100, Files: 3, Fields: 50})

		got, err := door.TakeFiles(t.Context(), entry, Files{In: bytes.NewReader(body), ContentType: formType, Source: "/s"})

		if weir.CodeOf(err) == weir.Internal {
			t.Fatal(err)
		}
		if len(got) != len(journal.records) || len(blobs.blobs) != len(got) || err == nil && len(got) == 0 {
			t.Errorf("%d answered, %d records, %d blobs, %v", len(got), len(journal.records), len(blobs.blobs), err)
		}
		for _, r := range journal.records {
			if err := r.Event.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}
