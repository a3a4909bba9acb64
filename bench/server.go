package main

import (
	"context"

	"weir"
	"weir/e2e/load"
)

// withServer gives f a server of its own, on loopback in this process.
func withServer(ctx context.Context, f func(*load.Server) ([]row, error)) (rows []row, err error) {
	s, err := load.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := s.Stop(); err == nil {
			err = stopped
		}
	}()
	return f(s)
}

// prepare makes the requests that publish n events, size of them in each.
func prepare(s *load.Server, n, size int) [][]byte {
	requests := make([][]byte, 0, n/size)
	for i := 0; i < n; i += size {
		events := make([]*weir.Event, size)
		for k := range events {
			events[k] = sampleEvent(i + k)
		}
		requests = append(requests, s.Request(events...))
	}
	return requests
}
