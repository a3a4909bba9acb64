package obs

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir"
)

func TestTheLogIsTextOrJSONFromALevelOn(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var out strings.Builder
		log, err := NewLogger(&out, "warn", format)
		if err != nil {
			t.Fatal(err)
		}

		log.Info("not this")
		log.Warn("flush is slow", "node", "n1")

		got := out.String()
		if strings.Contains(got, "not this") || strings.Count(got, "\n") != 1 || !strings.Contains(got, "n1") {
			t.Errorf("%s: logged %q", format, got)
		}
		if json.Valid([]byte(got)) != (format == "json") {
			t.Errorf("%s: logged %q", format, got)
		}
		if !strings.Contains(got, "Z") {
			t.Errorf("%s: the time of %q is not UTC", format, got)
		}
	}
}

func TestALogOfAnotherLevelOrFormatIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"loud", "text"}, {"info", "xml"}, {"", ""}} {
		if _, err := NewLogger(nil, c[0], c[1]); weir.CodeOf(err) != weir.Invalid {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestMetricsAreServedUnderTheirNames(t *testing.T) {
	t.Parallel()
	m := NewMetrics()

	events := m.Counter(Metric{Room: "ingest", Thing: "events", Unit: "total", Help: "Events at the door.", Labels: []string{"door"}})
	events.Add(2, "api")
	events.Add(1, "api")
	m.Counter(Metric{Room: "upkeep", Thing: "removed", Unit: "blobs", Help: "Blobs removed."})
	m.Timer(Metric{Room: "upkeep", Thing: "pass", Unit: "seconds", Help: "Time of a pass."})
	m.Gauge(Metric{Room: "lane", Thing: "waiting", Unit: "runs", Help: "Runs that wait."}, func() float64 { return 7 })
	m.Timer(Metric{Room: "dispatch", Thing: "flush", Unit: "seconds", Help: "Time of a flush."}).Observe(2 * time.Millisecond)

	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for _, want := range []string{
		`weir_ingest_events_total{door="api"} 3`, "weir_lane_waiting_runs 7", "weir_upkeep_removed_blobs 0", "weir_upkeep_pass_seconds_count 0",
		`weir_dispatch_flush_seconds_bucket{le="0.003"} 1`, `weir_dispatch_flush_seconds_bucket{le="0.001"} 0`, "go_goroutines",
	} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

func TestNoMetricsCountNothing(t *testing.T) {
	t.Parallel()
	var m *Metrics

	m.Counter(Metric{Room: "ingest", Thing: "events", Unit: "total"}).Add(1)
	m.Gauge(Metric{Room: "lane", Thing: "waiting", Unit: "runs"}, nil)
	m.Timer(Metric{Room: "dispatch", Thing: "flush", Unit: "seconds"}).Observe(time.Second)
}

func TestAMetricWithoutANameOrRegisteredTwicePanics(t *testing.T) {
	t.Parallel()
	m, d := NewMetrics(), Metric{Room: "ingest", Thing: "events", Unit: "total"}
	m.Counter(d)
	for _, bad := range []Metric{d, {Room: "ingest", Thing: "events"}, {Room: "In gest", Thing: "events", Unit: "total"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is registered", bad)
				}
			}()
			m.Counter(bad)
		}()
	}
}
