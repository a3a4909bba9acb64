package client

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"weir"
)

// scripted answers the nth request for the stream with the nth text; "" is 503.
// It keeps where each began.
func scripted(t *testing.T, texts ...string) (c *Client, began *[]string) {
	t.Helper()
	var n atomic.Int32
	began = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		if i < len(texts) {
			*began = append(*began, r.URL.Query().Get("after"))
		}
		if i >= len(texts) || texts[i] == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if strings.HasPrefix(texts[i], "{") {
			w.Header().Set("Content-Type", ProblemType)
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprint(w, texts[i])
	}))
	t.Cleanup(server.Close)
	return &Client{URL: server.URL, Token: "t"}, began
}

func oneEvent(id int) string {
	return fmt.Sprintf("event: event\nid: %d\ndata: {\"id\":\"e%d\",\"type\":\"t\",\"source\":\"/s\",\"seq\":%d}\n\n", id, id, id)
}

// collect reads a stream until it ends, or has n items.
func collect(ctx context.Context, c *Client, from StreamFrom, n int) (items []string, err error) {
	for item, failed := range c.Stream(ctx, StreamFilter{}, from) {
		if failed != nil {
			return items, failed
		}
		switch {
		case item.Event != nil:
			items = append(items, item.Place+" "+item.Event.ID)
		case item.Gap != nil:
			items = append(items, fmt.Sprintf("%s gap %d-%d", item.Place, item.Gap.From, item.Gap.To))
		}
		if len(items) == n {
			return items, nil
		}
	}
	return items, nil
}

func TestAStreamGoesOnFromItsLastPlace(t *testing.T) {
	t.Parallel()
	c, began := scripted(t,
		": here\nid: 4\n\n",
		oneEvent(5)+oneEvent(6)+"event: event\nid: 7\ndata: {\"id\":\"half", // cut in the middle of a block
		"",
		oneEvent(7)+"event: novelty\nid: 8\ndata: {}\n\n"+": here\nid: 9\n\n",
		"event: gap\nid: 20\ndata: {\"from\":10,\"to\":20}\n\n"+"event: dropped\ndata: {\"code\":\"limited\",\"reason\":\"too slow\"}\n\n",
		oneEvent(21),
	)

	items, err := collect(t.Context(), c, StreamFrom{Reconnect: true}, 5)

	want := []string{"5 e5", "6 e6", "7 e7", "20 gap 10-20", "21 e21"}
	if err != nil || !slices.Equal(items, want) {
		t.Errorf("got %q, %v, want %q", items, err, want)
	}
	if want := []string{"", "4", "6", "6", "9", "20"}; !slices.Equal(*began, want) {
		t.Errorf("began at %q, want %q", *began, want)
	}
}

func TestAStreamThatIsNotToGoOnEndsWithWhatWasWrong(t *testing.T) {
	t.Parallel()
	problem := `{"code":"invalid","detail":"no such place","field":"after"}`
	for _, c := range []struct {
		name, text string
		again      bool
		code       weir.Code
		says       string
	}{
		{"cut", oneEvent(1), false, weir.Unavailable, "the stream ended"},
		{"dropped", "event: dropped\ndata: {\"code\":\"limited\",\"reason\":\"too slow\"}\n\n", false, weir.Limited, "too slow"},
		{"token gone", "event: dropped\ndata: {\"code\":\"unauthenticated\",\"reason\":\"not known\"}\n\n", true, weir.Unauthenticated, "not known"},
		{"refused", problem, true, weir.Invalid, "after: no such place"},
		{"no JSON", "event: run\nid: 1\ndata: {\n\n", true, weir.Internal, "read the stream"},
		{"busy", "", false, weir.Unavailable, "503"},
	} {
		client, _ := scripted(t, c.text)

		_, err := collect(t.Context(), client, StreamFrom{Reconnect: c.again}, 9)

		if weir.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, oneEvent(1), "", "", "", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for item, err := range c.Stream(ctx, StreamFilter{}, StreamFrom{Reconnect: true}) {
		if n++; err != nil || n > 1 {
			t.Errorf("%+v, %v", item, err)
		}
		cancel()
	}
}
