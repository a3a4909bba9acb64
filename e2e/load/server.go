package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/client"
	"weir/internal/app"
	"weir/internal/config"
)

// Server is a server on loopback with its data in a temporary directory.
type Server struct {
	*client.Client

	dir    string
	cancel context.CancelFunc
	served chan error
}

// Start starts a server; Stop must follow.
func Start(ctx context.Context) (*Server, error) {
	dir, err := os.MkdirTemp("", "weir-load-")
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen = filepath.Join(dir, "data"), "127.0.0.1:0"
	cfg.AllowDestinations = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	a, err := app.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Server{
		Client: &client.Client{URL: a.URL(), Token: a.AdminToken()},
		dir:    dir, cancel: cancel, served: make(chan error, 1),
	}
	go func() { s.served <- a.Run(ctx) }()
	return s, nil
}

// Stop stops the server and removes its data.
func (s *Server) Stop() error {
	s.cancel()
	err := <-s.served
	if rm := os.RemoveAll(s.dir); err == nil {
		err = rm
	}
	return err
}

// Define applies a project file.
func (s *Server) Define(ctx context.Context, text string) error {
	_, err := s.Apply(ctx, client.File{Name: "weir.yaml", Text: []byte(text)})
	return err
}

// Head returns the place of the last durable record.
func (s *Server) Head(ctx context.Context) (weir.Seq, error) {
	n, err := s.metric(ctx, "weir_journal_durable_records")
	return weir.Seq(n), err
}

// RowsWritten returns how many rows of state the server wrote since its start.
func (s *Server) RowsWritten(ctx context.Context) (int, error) {
	n, err := s.metric(ctx, "weir_state_written_rows")
	return int(n), err
}

func (s *Server) metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s is not among the metrics: %w", name, io.ErrUnexpectedEOF)
}

// Await waits until the journal holds the wanted number of records and all of
// them are folded and flushed.
func (s *Server) Await(ctx context.Context, want weir.Seq) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		head, err := s.Head(ctx)
		if err != nil {
			return fmt.Errorf("the journal stands at %d and not at %d: %w", head, want, err)
		}
		if head >= want {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the journal stands at %d and not at %d: %w", head, want, ctx.Err())
		case <-tick.C:
		}
	}
	s.See(want)
	_, err := s.Groups(ctx, client.GroupFilter{}, client.Paging{Limit: 1})
	return err
}
