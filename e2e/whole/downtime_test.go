package whole

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/client"
	"weir/internal/config"
)

func same(*config.Config) {}

// What becomes due while no server runs is done by the next one, once.
func TestWhatBecameDueWhileTheServerWasDownIsDone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := receive(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.URL.Path == "/retried" && n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	first := startIn(t, dir, same)
	first.define(`
triggers:
  group: {match: [{type: x}], fire: [{count: 3}], expire: opened + 150ms, on_expire: [{http: {url: RECEIVER/expired}}]}
  again: {match: {type: w}, run: again}
pipelines:
  again: {steps: [{http: {url: RECEIVER/retried}}], retry: {attempts: 3, backoff: 150ms}}
`, r)
	first.publish("w", "0", `{}`)
	first.publish("x", "1", `{}`)
	first.publish("x", "2", `{}`)
	first.until("the run waits for its second try", func() bool {
		runs := first.runs(client.RunFilter{Trigger: "again"})
		return len(runs) == 1 && runs[0].Tries == 1
	})
	waiting := first.runs(client.RunFilter{Trigger: "again"})[0]
	groups, err := first.Groups(t.Context(), client.GroupFilter{}, client.Paging{})
	if err != nil || len(groups.Items) != 1 {
		t.Fatal(groups, err)
	}
	first.stop()
	due := max(waiting.Due, groups.Items[0].Expires).Std()
	<-time.After(time.Until(due) + time.Millisecond)

	second := startIn(t, dir, same)

	expired := second.run(second.await("group", "succeeded", 1)[0].ID)
	if expired.Reason != "expired" || expired.Count != 2 || expired.Group != groups.Items[0].ID {
		t.Errorf("the group became %+v", expired)
	}
	retried := second.run(second.await("again", "succeeded", 1)[0].ID)
	if retried.ID != waiting.ID || outcomesOf(retried) != "retrying succeeded" {
		t.Errorf("the run became %+v", retried)
	}
	if calls := r.got("/retried"); len(calls) != 2 || calls[0].key != calls[1].key {
		t.Errorf("the receiver got %+v", calls)
	}
	if calls := r.got("/expired"); len(calls) != 1 {
		t.Errorf("the receiver of the group got %+v", calls)
	}
}

// A secret outlives restarts; without the key that it was sealed with it is not
// sent as something else, and what uses it says why, until it is set anew.
func TestASecretIsOfNoUseWithoutItsKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("X-Key") != "the value" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	first := startIn(t, dir, same)
	if err := first.SetSecret(t.Context(), "key", "the value"); err != nil {
		t.Fatal(err)
	}
	first.define(`triggers: {one: {match: {type: x}, run: [{http: {url: RECEIVER/, headers: {x-key: "${secret.key}"}}}]}}`, r)
	first.stop()
	second := startIn(t, dir, same)
	second.publish("x", "1", `{}`)
	second.await("one", "succeeded", 1)
	second.stop()
	another := []byte(strings.Repeat("0123456789abcdef", 4))
	if err := os.WriteFile(filepath.Join(dir, "secret.key"), another, 0o600); err != nil {
		t.Fatal(err)
	}

	third := startIn(t, dir, same)
	third.publish("x", "2", `{}`)

	run := third.await("one", "dead", 1)[0]
	if !strings.Contains(run.Error, "bring that key file back") || len(r.got("")) != 1 {
		t.Errorf("the run says %q, and the receiver got %d requests", run.Error, len(r.got("")))
	}
	if err := third.SetSecret(t.Context(), "key", "the value"); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Redrive(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	third.await("one", "succeeded", 2)
}
