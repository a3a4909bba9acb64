package nodes

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"weir/internal/pg/pgtest"
)

func contains(text string, any ...string) bool {
	for _, s := range any {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// sql does something to the database as its owner, from outside of it.
func sql(t *testing.T, database string, statements ...string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), strings.ReplaceAll(s, "$name", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// post publishes an event once, without trying again.
func (n *node) post(t *testing.T, id string) (status int, retryAfter string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.URL+"/v1/events?type=load.pass&id="+id, bytes.NewReader([]byte("{}")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+n.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := n.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

func (n *node) readyz(t *testing.T) int {
	t.Helper()
	resp, err := n.HTTP.Get(n.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestDatabaseThatTakesNothingIsToldAndComesBack(t *testing.T) {
	t.Parallel()
	database, to := pgtest.New(t), newReceiver(t, 0)
	n := newNode(t, database, "one", allDuties)
	n.start(t)
	n.apply(t, project(to))
	const cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$name'"

	sql(t, database, "ALTER DATABASE $name SET default_transaction_read_only = on", cut)

	until(t, "events to be refused", func() (bool, error) {
		status, retryAfter := n.post(t, "refused")
		return status == http.StatusServiceUnavailable && retryAfter != "", nil
	})
	until(t, "the node not to be ready", func() (bool, error) { return n.readyz(t) == http.StatusServiceUnavailable, nil })

	sql(t, database, "ALTER DATABASE $name RESET default_transaction_read_only", cut)

	until(t, "events to be taken", func() (bool, error) {
		status, _ := n.post(t, "taken")
		return status == http.StatusAccepted, nil
	})
	until(t, "the node to be ready", func() (bool, error) { return n.readyz(t) < 300, nil })
	dispatching(t, n, n)
	l := newLoad(to, "r", 50, 50)
	l.publish(t.Context(), t, n)
	n.settle(t)
	l.check(t, n)
}
