package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/config"
)

// A stop is seen at /readyz first. Requests are answered all the same, and their
// connections closed; one that began before the stop ends after it.
func TestAStopIsSeenBeforeRequestsAreTurnedAway(t *testing.T) {
	t.Parallel()
	cfg := configured(t.TempDir())
	cfg.DrainDelay = config.Delay(weir.Duration(time.Second))
	r := run(t, cfg, "")
	body, sending := io.Pipe()
	answered := make(chan string, 1)
	go func() {
		answered <- statusOf(t, r.request(t, http.MethodPost, "/v1/events?type=x&source=/s&id=slow", body))
	}()
	if _, err := io.WriteString(sending, `{"half":`); err != nil {
		t.Fatal(err)
	}
	before := statusOf(t, r.request(t, http.MethodGet, "/readyz", nil))

	ended := make(chan error, 1)
	go func() { ended <- r.end() }()
	var draining string
	await(t, func() bool {
		draining = statusOf(t, r.request(t, http.MethodGet, "/readyz", nil))
		return draining != before
	})
	meanwhile := statusOf(t, r.request(t, http.MethodPost, "/v1/events?type=x&source=/s&id=quick", strings.NewReader(`{}`)))
	_, err := io.WriteString(sending, `1}`)

	if err != nil || sending.Close() != nil {
		t.Fatal(err)
	}
	if before != "204" || !strings.HasPrefix(draining, "503 close") || !strings.Contains(draining, "draining: the node was told to stop") {
		t.Errorf("ready: %s, then %s", before, draining)
	}
	if slow := <-answered; !strings.HasPrefix(meanwhile, "202 close") || !strings.HasPrefix(slow, "202 ") {
		t.Errorf("meanwhile: %s; what began before: %s", meanwhile, slow)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func (r *running) request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.App.URL()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// statusOf tells the status of an answer, whether its connection is closed after
// it, and its body.
func statusOf(t *testing.T, req *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	words := []string{resp.Status[:3]}
	if resp.Close {
		words = append(words, "close")
	}
	if len(body) > 0 {
		words = append(words, string(body))
	}
	return strings.Join(words, " ")
}
