package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir"
)

// lineServer is a transport with a server behind it that takes lines. What it
// does with a request is drawn: it may be busy, be cut off after some answers,
// and have taken more than it answered.
type lineServer struct {
	draw  func(what string, least, most int) int
	taken map[string]string // id -> line
	fault string            // what must not happen
}

func (s *lineServer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	first := 1
	if text := req.URL.Query().Get("line"); text != "" {
		first, _ = strconv.Atoi(text)
	}
	if s.draw("fate", 0, 5) == 0 {
		return &http.Response{StatusCode: 429, Body: http.NoBody, Header: http.Header{"Retry-After": {"1"}}}, nil
	}
	lines := strings.SplitAfter(string(body), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	answers := s.draw("answers", 0, 8) // then it is cut off
	var out bytes.Buffer
	n := 0
	for chunk := 1; len(lines) > 0; chunk++ {
		size := min(s.draw("chunk", 1, 4), len(lines))
		a := Chunk{Chunk: chunk, Lines: size}
		for i, line := range lines[:size] {
			if strings.Contains(line, "bad") {
				a = Chunk{Chunk: chunk, Lines: size, Error: &Problem{Code: weir.Invalid, Detail: "is bad", Line: first + n + i}}
				break
			}
			a.Taken++
		}
		for i, line := range lines[:size] {
			if a.Error == nil {
				s.take(req.Header.Get("Idempotency-Key")+"."+strconv.Itoa(first+n+i), line, &a)
			}
		}
		n += size
		lines = lines[size:]
		if chunk <= answers {
			_ = json.NewEncoder(&out).Encode(a)
		} else if s.draw("goes on", 0, 1) == 0 {
			break
		}
		if chunk > answers && len(lines) == 0 {
			break
		}
		if len(lines) == 0 {
			_ = json.NewEncoder(&out).Encode(Total{Done: true})
		}
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(&out)}, nil
}

func (s *lineServer) take(id, line string, a *Chunk) {
	if was, known := s.taken[id]; known {
		a.Taken--
		a.Duplicates++
		if was != line {
			s.fault = fmt.Sprintf("%s was %q and is %q", id, was, line)
		}
		return
	}
	s.taken[id] = line
}

// Lines are taken once each, whatever is cut off or refused between.
func TestLinesAreTakenOnceWhereverTheUploadIsCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "bb", "", "bad", strings.Repeat("long", 30)}), 0, 60).Draw(rt, "lines")
		ended := rapid.Bool().Draw(rt, "the last line has an end")
		most := bounds{lines: rapid.IntRange(1, 20).Draw(rt, "most lines"), bytes: rapid.IntRange(8, 60).Draw(rt, "most bytes"), line: 100}
		server := &lineServer{taken: map[string]string{}, draw: func(what string, least, most int) int {
			return rapid.IntRange(least, most).Draw(rt, what)
		}}
		text := strings.Join(lines, "\n")
		if ended && len(lines) > 0 {
			text += "\n"
		}
		next, answered := 1, 0
		total, err := bubble(t, server, text, most, func(s Sent) {
			if s.First != next || s.Error != nil && (s.Error.Line < s.First || s.Error.Line >= s.First+s.Lines) {
				rt.Errorf("answered from line %d on, want %d: %+v", s.First, next, s)
			}
			next += s.Lines
			answered += s.Bytes
		})

		if err != nil && weir.CodeOf(err) != weir.Unavailable && weir.CodeOf(err) != weir.Limited {
			rt.Fatal(err)
		}
		if server.fault != "" || total.Lines != next-1 || total.Done != (err == nil) {
			rt.Fatalf("%s; %+v, next %d", server.fault, total, next)
		}
		count := strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			count++
		}
		if err == nil && (answered != len(text) || total.Lines != count || total.Taken+total.Duplicates+total.Refused != count) {
			rt.Fatalf("answered %d bytes of %d: %+v", answered, len(text), total)
		}
		for id, line := range server.taken {
			n, _ := strconv.Atoi(strings.TrimPrefix(id, "k."))
			if want := lines[n-1]; strings.TrimSuffix(line, "\n") != want {
				rt.Fatalf("%s is %q, want %q", id, line, want)
			}
		}
	})
}

// bubble uploads in fake time.
func bubble(t *testing.T, server http.RoundTripper, text string, most bounds, answered func(Sent)) (total Total, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &Client{URL: "http://weir.example", HTTP: &http.Client{Transport: server}}
		total, err = c.publishLines(t.Context(), Lines{In: strings.NewReader(text), Key: "k", Answered: answered}, most)
	})
	return total, err
}

// answering is a transport that answers each request with the next text.
type answering struct {
	texts []string
	asked []*http.Request
}

func (a *answering) RoundTrip(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	a.asked = append(a.asked, req)
	text := a.texts[min(len(a.asked), len(a.texts))-1]
	status, body, _ := strings.Cut(text, " ")
	code, _ := strconv.Atoi(status)
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
}

func TestAnUploadThatIsNotWantedEndsAtOnceAndOneThatIsNotAnsweredInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []string
		code    weir.Code
		asked   int
	}{
		"no token":         {[]string{`401 {"code": "unauthenticated", "detail": "no"}`}, weir.Unauthenticated, 1},
		"never a chunk":    {[]string{`503 {"code": "behind", "detail": "not yet"}`}, weir.Behind, lineTries},
		"stopped":          {[]string{"200 {\"chunk\":1,\"lines\":1,\"taken\":1}\n{\"done\":false,\"error\":{\"code\":\"internal\",\"detail\":\"x\"}}\n"}, weir.Internal, 1},
		"too few answers":  {[]string{"200 {\"done\":true}\n"}, weir.Internal, 1},
		"no answers":       {[]string{"200 <html>\n"}, weir.Internal, 1},
		"cut in a line":    {[]string{"200 {\"chunk\":1,\"li", "200 {\"chunk\":1,\"lines\":2}\n{\"done\":true}\n"}, "", 2},
		"a line too long":  {[]string{"200 " + strings.Repeat("x", maxAnswerLine+1)}, weir.Internal, 1},
		"after some tries": {[]string{"503 x", "200 {\"chunk\":1,\"lines\":2,\"taken\":2}\n{\"done\":true}\n"}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &answering{texts: c.answers}

			_, err := bubble(t, server, "a\nb\n", requestBounds, nil)

			if weir.CodeOf(err) != c.code || len(server.asked) != c.asked {
				t.Errorf("%v after %d requests", err, len(server.asked))
			}
		})
	}
}

func TestAnUploadThatGoesOnSaysAtWhichLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &answering{texts: []string{"200 {\"chunk\":1,\"lines\":1,\"taken\":1,\"seq\":7}\n", "200 {\"chunk\":1,\"lines\":1,\"taken\":1}\n{\"done\":true}\n"}}
		c := &Client{URL: "http://weir.example", HTTP: &http.Client{Transport: server}}
		var waits []time.Duration

		total, err := c.PublishLines(t.Context(), Lines{
			In: strings.NewReader("a\nb"), Key: "k", First: 5,
			Waiting: func(_ error, again time.Duration) { waits = append(waits, again) },
		})

		if diff := cmp.Diff(Total{Done: true, Lines: 2, Taken: 2}, total); diff != "" || err != nil {
			t.Error(diff, err)
		}
		got := []string{server.asked[0].URL.Query().Get("line"), server.asked[1].URL.Query().Get("line")}
		if diff := cmp.Diff([]string{"5", "6"}, got); diff != "" || len(waits) != 1 || c.Seen() != 7 {
			t.Error(diff, waits, c.Seen())
		}
	})
}
