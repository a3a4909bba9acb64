package ingest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"weir"
)

// tap counts what is read of a body without end.
type tap struct{ read int }

func (s *tap) Read(b []byte) (int, error) {
	s.read += len(b)
	clear(b)
	return len(b), nil
}

func TestABodyThatSaysItIsTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	door, _, _ := newDoor(t)
	body := &tap{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.ContentLength = 8<<20 + 1

	_, _, err := door.Read(httptest.NewRecorder(), r)

	if weir.CodeOf(err) != weir.TooLarge || body.read != 0 {
		t.Errorf("error %v after %d bytes", err, body.read)
	}
}

func TestABodyOfUnknownLengthIsReadUpToTheLimit(t *testing.T) {
	t.Parallel()
	door, _, _ := newDoor(t)
	body := &tap{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.ContentLength = -1

	_, _, err := door.Read(httptest.NewRecorder(), r)

	if weir.CodeOf(err) != weir.TooLarge || body.read > 9<<20 || door.inFlight.used.Load() != 0 {
		t.Errorf("error %v after %d bytes, %d held", err, body.read, door.inFlight.used.Load())
	}
}

func TestBodiesAtTheDoorTogetherAreBounded(t *testing.T) {
	t.Parallel()
	door := New(Options{InFlight: 1000})
	request := func() *http.Request {
		return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(make([]byte, 600)))
	}

	first, done, err := door.Read(httptest.NewRecorder(), request())
	if err != nil || len(first) != 600 {
		t.Fatal(err)
	}
	_, _, second := door.Read(httptest.NewRecorder(), request())
	done()
	_, _, third := door.Read(httptest.NewRecorder(), request())

	if weir.CodeOf(second) != weir.Limited || third != nil {
		t.Errorf("second %v, third %v", second, third)
	}
}

func TestABodyIsReadWhole(t *testing.T) {
	t.Parallel()
	door, _, _ := newDoor(t)
	for _, n := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 8 << 20} {
		want := bytes.Repeat([]byte("x"), n)
		for _, length := range []int64{int64(n), -1} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.NopCloser(bytes.NewReader(want)))
			r.ContentLength = length

			got, done, err := door.Read(httptest.NewRecorder(), r)

			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d of %d bytes, length %d: %v", len(got), n, length, err)
			}
			done()
		}
	}
}

func TestTheRoomAtTheDoorIsTakenToItsLastByte(t *testing.T) {
	t.Parallel()
	room := budget{most: 1000}

	first, more, last := room.take(999), room.take(2), room.take(1)

	if !first || more || !last || room.used.Load() != 1000 {
		t.Errorf("%t, %t, %t, %d used", first, more, last, room.used.Load())
	}
}

func TestStrangersCannotTakeTheRoomOfPublishers(t *testing.T) {
	t.Parallel()
	door := New(Options{InFlight: 1000, Unverified: 1000})
	request := func() *http.Request {
		return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(make([]byte, 600)))
	}

	_, done, first := door.ReadUnverified(httptest.NewRecorder(), request())
	_, _, second := door.ReadUnverified(httptest.NewRecorder(), request())
	_, _, publisher := door.Read(httptest.NewRecorder(), request())
	done()
	_, _, later := door.ReadUnverified(httptest.NewRecorder(), request())

	if first != nil || weir.CodeOf(second) != weir.Limited || publisher != nil || later != nil {
		t.Errorf("%v, %v, publisher %v, later %v", first, second, publisher, later)
	}
}

// compressed returns b as gzip.
// stalled gives so many bytes, and then looks at the room that is taken.
type stalled struct {
	left int
	room *budget
	took int64
}

func (s *stalled) Read(b []byte) (int, error) {
	n := min(len(b), s.left)
	if s.left -= n; n == 0 {
		s.took = s.room.used.Load()
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

func TestWhatIsOnlyAnnouncedTakesLittleRoom(t *testing.T) {
	t.Parallel()
	door := New(Options{})
	body := &stalled{left: 100_000, room: &door.unverified}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.NopCloser(body))
	r.ContentLength = 8 << 20

	_, _, err := door.ReadUnverified(httptest.NewRecorder(), r)

	if weir.CodeOf(err) != weir.Invalid || body.took > 400_000 || door.unverified.used.Load() != 0 {
		t.Errorf("%v, and %d bytes of room for 100,000", err, body.took)
	}
}

func TestASignedBodyIsNotTakenWithAnEncoding(t *testing.T) {
	t.Parallel()
	door := New(Options{})
	for _, coding := range []string{"gzip", "br"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("x"))
		r.Header.Set("Content-Encoding", coding)

		_, _, err := door.ReadUnverified(httptest.NewRecorder(), r)

		if e, ok := errors.AsType[*weir.Error](err); !ok || !errors.Is(err, ErrContentType) || e.Field != "content-encoding" {
			t.Errorf("%s: %v", coding, err)
		}
	}
}

func compressed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestACompressedBodyIsReadUpToTheLimitOfWhatItHolds(t *testing.T) {
	t.Parallel()
	good := compressed(t, make([]byte, 1000))
	for name, c := range map[string]struct {
		coding string
		body   []byte
		code   weir.Code
		field  string
	}{
		"at the limit": {"gzip", good, "", ""},
		"other case":   {"GZIP", good, "", ""},
		"a bomb":       {"gzip", compressed(t, make([]byte, 1001)), weir.TooLarge, "body"},
		"a large bomb": {"x-gzip", compressed(t, make([]byte, 5<<20)), weir.TooLarge, "body"},
		"no gzip":      {"gzip", []byte("this is no gzip"), weir.Invalid, "content-encoding"},
		"nothing":      {"gzip", nil, weir.Invalid, ""},
		"cut":          {"gzip", good[:len(good)-3], weir.Invalid, ""},
		"damaged":      {"gzip", append(bytes.Clone(good[:len(good)-8]), 1, 2, 3, 4, 5, 6, 7, 8), weir.Invalid, "content-encoding"},
		"other coding": {"br", good, weir.Invalid, "content-encoding"},
		"two codings":  {"gzip, gzip", good, weir.Invalid, "content-encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := New(Options{Limits: Limits{Body: 1000}})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(c.body))
			r.Header.Set("Content-Encoding", c.coding)

			body, done, err := door.Read(httptest.NewRecorder(), r)
			done()

			if weir.CodeOf(err) != c.code || c.code == "" && len(body) != 1000 || door.inFlight.used.Load() != 0 {
				t.Fatalf("%d bytes, %v", len(body), err)
			}
			if e, ok := errors.AsType[*weir.Error](err); ok && e.Field != c.field {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestAStreamIsDecompressedAsItComes(t *testing.T) {
	t.Parallel()
	in := compressed(t, []byte(line(1)+"\n"+line(2)))
	for name, c := range map[string]struct {
		body  []byte
		taken int
		code  weir.Code
	}{"whole": {in, 2, ""}, "cut": {in[:len(in)-10], 1, weir.Invalid}} {
		door, journal, _, _ := stocked(t, Limits{Lines: 1})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(c.body))
		r.Header.Set("Content-Encoding", "gzip")

		stream, err := door.Stream(httptest.NewRecorder(), r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = take(t, door, Lines{In: stream})

		if weir.CodeOf(err) != c.code || len(journal.records) != c.taken {
			t.Errorf("%s: %v, %d records", name, err, len(journal.records))
		}
	}
}

// asked remembers the most that was asked for at once.
type asked struct{ most int }

func (a *asked) Read(b []byte) (int, error) {
	a.most = max(a.most, len(b))
	return len(b), nil
}

// Within a chunk of HTTP a read lasts until all is there that it asks for, and
// it may last a minute.
func TestAStreamAsksForLittleAtOnceSoThatASlowSenderIsNotCut(t *testing.T) {
	t.Parallel()
	body := &asked{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.NopCloser(body))

	s, err := New(Options{}).Stream(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Read(make([]byte, 8<<20))

	if n == 0 || err != nil || body.most > 16<<10 {
		t.Errorf("%d bytes at once, %v", body.most, err)
	}
}

func TestAFormIsNotTakenCompressed(t *testing.T) {
	t.Parallel()

	_, err := FormOf(ce("Content-Type", formType, "Content-Encoding", "gzip"))

	if e, ok := errors.AsType[*weir.Error](err); !ok || e.Field != "content-encoding" || !errors.Is(err, ErrContentType) {
		t.Errorf("error %v", err)
	}
}

func TestABodyThatCannotBeReadIsTheSendersFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error
		text  string
	}{
		"cut":       {io.ErrUnexpectedEOF, "the connection was cut"},
		"malformed": {errors.New("http: invalid chunk"), "the connection was cut"},
		"in time":   {os.ErrDeadlineExceeded, "nothing more of it came in time"},
	} {
		door, _, _ := newDoor(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", iotest.ErrReader(c.cause))

		_, _, err := door.Read(httptest.NewRecorder(), r)

		if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
