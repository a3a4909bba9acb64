package app_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
	"weir/internal/pg/pgtest"
)

const (
	nodesToken = "weir_a-token-of-the-nodes"
	nodesKey   = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
)

// among is the configuration of a node on a database.
func among(t *testing.T, database, name string, duties ...weir.Duty) config.Config {
	t.Helper()
	cfg := configured(t.TempDir())
	cfg.Database, cfg.Node, cfg.Duties = config.NewDatabase(database), name, duties
	cfg.DrainDelay = config.Delay(0)
	cfg.SecretKey, cfg.Admin.Token = config.NewSecret(nodesKey), config.NewSecret(nodesToken)
	return cfg
}

func TestNodesOfOneDatabaseAreOneServer(t *testing.T) {
	t.Parallel()
	database, effects := pgtest.New(t), newEffects(t)
	door := run(t, among(t, database, "door", weir.DutyAPI), nodesToken)
	warned := statusOf(t, door.request(t, http.MethodGet, "/readyz", nil))
	one := run(t, among(t, database, "one", config.AllDuties()...), nodesToken)
	await(t, func() bool { return holder(t, door, "shard 0") == "one" && holder(t, door, "upkeep") == "one" })
	two := run(t, among(t, database, "two", weir.DutyDispatch, weir.DutyWork, weir.DutyUpkeep), nodesToken)

	text := "triggers: {one: {match: {type: x}, run: [{http: {url: " + effects.url + "}}]}}"
	if _, err := door.Apply(t.Context(), client.File{Text: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	publish(t, door, 0, 100)
	if err := door.DrainNode(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return holder(t, door, "shard 0") == "two" && holder(t, door, "upkeep") == "two" })
	publish(t, door, 100, 200)
	await(t, func() bool { return succeeded(t, door) == 200 })
	drained := statusOf(t, one.request(t, http.MethodGet, "/readyz", nil))

	if effects.count() != 200 {
		t.Errorf("%d effects of 200 events", effects.count())
	}
	if !strings.HasPrefix(warned, "200 ") || !strings.Contains(warned, "no node dispatches") {
		t.Errorf("a node alone that does not dispatch says %s", warned)
	}
	if !strings.HasPrefix(drained, "503 ") || !strings.Contains(drained, "draining") {
		t.Errorf("the drained node says %s", drained)
	}
	if answer := statusOf(t, two.request(t, http.MethodGet, "/v1/events", nil)); !strings.HasPrefix(answer, "404 ") {
		t.Errorf("a node without the duty api answers %s", answer)
	}

	if err := door.UndrainNode(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if err := two.end(); err != nil {
		t.Error(err)
	}
	await(t, func() bool { return holder(t, door, "shard 0") == "one" })
	publish(t, one, 200, 300)
	await(t, func() bool { return succeeded(t, door) == 300 })
	nodes, err := door.Nodes(t.Context())
	if err != nil || len(nodes.Items) != 2 {
		t.Errorf("a node that ended is listed: %+v, %v", nodes.Items, err)
	}
	isTaken(t, among(t, database, "one", weir.DutyAPI))
}

// isTaken starts a node whose name another one has.
func isTaken(t *testing.T, cfg config.Config) {
	t.Helper()
	_, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if weir.CodeOf(err) != weir.Conflict || !strings.Contains(err.Error(), `another process is node "one"`) {
		t.Errorf("a second node one: %v", err)
	}
}

// holder returns the node that has a hold, "" where none has.
func holder(t *testing.T, r *running, hold string) string {
	t.Helper()
	nodes, err := r.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(nodes.Items, func(n client.Node) bool { return slices.Contains(n.Holds, hold) })
	if i < 0 {
		return ""
	}
	return nodes.Items[i].Name
}

func publish(t *testing.T, r *running, from, to int) {
	t.Helper()
	var events []*weir.Event
	for i := from; i < to; i++ {
		events = append(events, &weir.Event{ID: fmt.Sprint(i), Source: "/s", Type: "x"})
	}
	if _, err := r.Publish(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
}

func succeeded(t *testing.T, r *running) int {
	t.Helper()
	page, err := r.Runs(t.Context(), client.RunFilter{State: "succeeded"}, client.Paging{Limit: 1000})
	if err != nil && weir.CodeOf(err) != weir.Behind {
		t.Fatal(err)
	}
	return len(page.Items)
}

// effects counts requests by their Idempotency-Key.
type effects struct {
	url string

	mu   sync.Mutex // guards:
	seen map[string]bool
}

func newEffects(t *testing.T) *effects {
	t.Helper()
	e := &effects{seen: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.seen[r.Header.Get("Idempotency-Key")] = true
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func (e *effects) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

func TestABlobIsGivenOutByEachNode(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	one := run(t, among(t, database, "one", config.AllDuties()...), nodesToken)
	two := run(t, among(t, database, "two", weir.DutyAPI), nodesToken)
	receipts, err := one.Publish(t.Context(), &weir.Event{Source: "/s", Type: "x", Data: large(1)})
	if err != nil {
		t.Fatal(err)
	}

	isGivenOut(t, two, receipts[0].UID, large(1))
}

func TestANodeWithAnotherKeyDoesNotStart(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	first := run(t, among(t, database, "one", config.AllDuties()...), nodesToken)
	if err := first.SetSecret(t.Context(), "door", "sesame"); err != nil {
		t.Fatal(err)
	}
	cfg := among(t, database, "two", config.AllDuties()...)
	cfg.SecretKey = config.NewSecret(strings.Repeat("ab", 32))

	_, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))

	if weir.CodeOf(err) != weir.Invalid || !strings.Contains(err.Error(), "set WEIR_SECRET_KEY to the one that the other nodes have") {
		t.Errorf("another key: %v", err)
	}
}

func TestANodeIsNotReadyWhileTheDatabaseTakesNothing(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	r := run(t, among(t, database, "one", config.AllDuties()...), nodesToken)
	publish(t, r, 0, 1)

	pgtest.Exec(t, database, readOnly(t, database, "on"))
	var away string
	await(t, func() bool {
		away = statusOf(t, r.request(t, http.MethodGet, "/readyz", nil))
		return strings.HasPrefix(away, "503 ")
	})
	_, refused := (&client.Client{URL: r.App.URL(), Token: nodesToken}).Publish(t.Context(), &weir.Event{ID: "no", Source: "/s", Type: "x"})
	pgtest.Exec(t, database, readOnly(t, database, "off"))
	await(t, func() bool { return strings.HasPrefix(statusOf(t, r.request(t, http.MethodGet, "/readyz", nil)), "20") })
	publish(t, r, 1, 2)

	if weir.CodeOf(refused) != weir.Unavailable || !strings.Contains(away, "takes no writes") {
		t.Errorf("%v; ready: %s", refused, away)
	}
}

// readOnly sets a database to take nothing, or to take writes again, and ends the
// sessions that do not know yet.
func readOnly(t *testing.T, database, to string) string {
	t.Helper()
	address, err := url.Parse(database) // the server's socket may be in its query
	if err != nil {
		t.Fatal(err)
	}
	return "SET transaction_read_only = off; ALTER DATABASE " + strings.TrimPrefix(address.Path, "/") + " SET default_transaction_read_only = " + to +
		"; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
}

func TestAnOlderNodeGoesOnWhileANewerMigratesButDoesNotStart(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	cfg := among(t, database, "one", config.AllDuties()...)
	bearsALaterSchema(t, cfg, func() *sql.DB { return opened(t, "pgx", database) })
}
