package client

import (
	"context"
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
