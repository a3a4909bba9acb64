package api

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"weir"
	"weir/internal/ingest"
)

// nowhere is a journal that answers and keeps nothing.
type nowhere struct{ world }

func (n *nowhere) Append(_ context.Context, batches ...weir.Batch) ([]weir.Receipt, error) {
	items := make([]weir.Item, len(batches[0].Records))
	for i := range items {
		items[i] = weir.Item{Seq: weir.Seq(i + 1), At: start}
	}
	return []weir.Receipt{{Items: items}}, nil
}

// BenchmarkPublish measures all of ingest but the network and the journal.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch-of-%d", n), func(b *testing.B) {
			w := &nowhere{}
			log := slog.New(slog.DiscardHandler)
			a := New(Options{Tokens: w, State: w, Door: ingest.New(ingest.Options{Journal: w, Refusals: w, Log: log}), Log: log})
			var body []byte
			for i := range n {
				body = fmt.Appendf(body, `,{"specversion":"1.0","id":"order-%d","source":"/shop/eu","type":"order.placed",`+
					`"time":"2026-01-31T09:30:00.123456Z","datacontenttype":"application/json",`+
					`"data":{"order":%d,"total":129.90,"currency":"EUR","customer":{"id":"c-8812","country":"DE"}}}`, i, i)
			}
			body = append(body, ']')
			body[0] = '['
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/events", bytes.NewReader(body))
				r.Header.Set("Authorization", "Bearer weir_publisher")
				r.Header.Set("Content-Type", "application/cloudevents-batch+json")
				recorder := httptest.NewRecorder()
				a.ServeHTTP(recorder, r)
				if recorder.Code != http.StatusAccepted {
					b.Fatal(recorder.Code, recorder.Body)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
