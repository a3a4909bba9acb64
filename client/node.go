package client

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"weir"
)

// Node is a process of the server as the API shows it. Several share one
// database; with the embedded engine there is one.
type Node struct {
	Name    string      `json:"name"`
	State   string      `json:"state" enum:"alive,draining,dead" doc:"Dead: it was not heard of for so long that others have its work."`
	Duties  []weir.Duty `json:"duties" nullable:"false" enum:"api,dispatch,work,upkeep"`
	Holds   []string    `json:"holds" nullable:"false" doc:"What it alone does now: a shard, such as shard 0, or upkeep."`
	Version string      `json:"version"`
	Started weir.Time   `json:"started" format:"date-time"`
	Seen    weir.Time   `json:"seen" format:"date-time" doc:"When it was last heard of."`
	Free    int         `json:"free" doc:"How many runs more it would take now."`
	Tries   int64       `json:"tries" doc:"How many tries of runs it has ended since it started."`
}

// Nodes lists the processes of the server, by name.
func (c *Client) Nodes(ctx context.Context) (Page[Node], error) {
	return get[Page[Node]](ctx, c, "/v1/nodes", nil)
}

// Node returns one process of the server.
func (c *Client) Node(ctx context.Context, name string) (Node, error) {
	return get[Node](ctx, c, nodePath(name), nil)
}

// DrainNode tells a node to give up what it alone does and to take no more runs
// and requests. It lives on until it is stopped.
func (c *Client) DrainNode(ctx context.Context, name string) error {
	_, err := call[none](ctx, c, request{method: http.MethodPost, path: nodePath(name) + "/drain", repeatable: true})
	return err
}

// UndrainNode takes DrainNode back.
func (c *Client) UndrainNode(ctx context.Context, name string) error {
	_, err := call[none](ctx, c, request{method: http.MethodDelete, path: nodePath(name) + "/drain"})
	return err
}

func nodePath(name string) string { return "/v1/nodes/" + url.PathEscape(name) }

// BackupOptions say what a backup holds besides everything else.
type BackupOptions struct{ Key bool } // the key of the secrets: the file is then a secret itself

// Backup returns a backup of the whole server as it comes: a tar whose last part
// is sums.json. Who reads it closes it.
func (c *Client) Backup(ctx context.Context, o BackupOptions) (io.ReadCloser, error) {
	r := request{method: http.MethodGet, path: "/v1/backup", long: true}
	if o.Key {
		r.query = url.Values{"key": {"true"}}
	}
	resp, err := c.do(ctx, &r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
		return nil, failure(r.op(), resp.StatusCode, body)
	}
	return resp.Body, nil
}
