package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"weir/e2e/load"
)

// ingestBatches measures the door alone: no trigger matches. The client is in
// this process, and its CPU is in the figure.
func ingestBatches(ctx context.Context, scale int) ([]row, error) {
	return withServer(ctx, func(s *load.Server) ([]row, error) {
		n := 100 * max(20*scale, 1)
		m, err := send(ctx, s.URL, 16, prepare(s, n, 100))
		if err != nil {
			return nil, err
		}
		per := m.perSecond(n)
		return []row{{
			Case: "ingest over HTTP, batches of 100", Figure: fmt.Sprintf("%.0f events/s of %d", per, n), PerSec: per, CPU: m.cpuPer(n),
			Target: ">= 150,000/s", OK: per >= 150_000,
		}}, nil
	})
}

// ingestSingles measures one event a request, against the same requests to a
// handler that does nothing.
func ingestSingles(ctx context.Context, scale int) ([]row, error) {
	return withServer(ctx, func(s *load.Server) ([]row, error) {
		const conns = 64
		n := max(400*scale, conns)
		requests := prepare(s, n, 1)
		empty, stop, err := emptyServer(ctx)
		if err != nil {
			return nil, err
		}
		defer stop()
		base, err := send(ctx, empty, conns, requests)
		if err != nil {
			return nil, err
		}
		m, err := send(ctx, s.URL, conns, requests)
		if err != nil {
			return nil, err
		}
		per := m.perSecond(n)
		ratio := per / base.perSecond(n)
		return []row{
			{
				Case: "empty net/http handler, 64 connections", Figure: fmt.Sprintf("%.0f requests/s", base.perSecond(n)),
				PerSec: base.perSecond(n), CPU: base.cpuPer(n), Target: "the limit", OK: true,
			},
			{
				Case: "ingest, one event a request, 64 connections", Figure: fmt.Sprintf("%.0f events/s", per), PerSec: per, CPU: m.cpuPer(n),
				Ratio: ratio, Against: "empty handler", Target: ">= 0.5 x", OK: ratio >= 0.5,
			},
		}, nil
	})
}

func send(ctx context.Context, target string, conns int, requests [][]byte) (measured, error) {
	return measure(func() error {
		_, err := load.Send(ctx, target, conns, requests)
		return err
	})
}

// emptyServer answers every request with 202 once its body is read.
func emptyServer(ctx context.Context) (target string, stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	})}
	go func() { _ = server.Serve(l) }()
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}
