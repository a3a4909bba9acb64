package obs

import (
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is a registry of metrics. Each room registers its own when it is
// made. A nil Metrics registers nothing, and what it returns counts nothing, so
// that tests of rooms need none.
type Metrics struct{ registry *prometheus.Registry }

// NewMetrics returns a registry that holds the process's and Go's own metrics.
func NewMetrics() *Metrics {
	m := &Metrics{prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves the metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Metric describes a metric: it is called weir_<Room>_<Thing>_<Unit>. Labels
// have few values; ids are none.
type Metric struct {
	Room   string // "dispatch"
	Thing  string // "flush"
	Unit   string // "total", "seconds", "bytes", "events"
	Help   string // a sentence
	Labels []string
}

var nameParts = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func (d Metric) name() string {
	for _, part := range []string{d.Room, d.Thing, d.Unit} {
		if !nameParts.MatchString(part) {
			panic(fmt.Sprintf("metric %+v: %q is no part of a name", d, part))
		}
	}
	return "weir_" + d.Room + "_" + d.Thing + "_" + d.Unit
}

// Counter counts what happened.
type Counter struct{ vec *prometheus.CounterVec }

// Counter registers a counter. Registering a name twice, or one that is no
// name, is a mistake of the program and panics; so it is for all kinds.
func (m *Metrics) Counter(d Metric) Counter {
	name := d.name()
	if m == nil {
		return Counter{}
	}
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: d.Help}, d.Labels)
	m.registry.MustRegister(vec)
	if len(d.Labels) == 0 {
		vec.WithLabelValues() // is 0 from the start: the first count is an increase
	}
	return Counter{vec}
}

// Add counts n more, under the values of the metric's labels in their order.
func (c Counter) Add(n int, labels ...string) {
	if c.vec != nil {
		c.vec.WithLabelValues(labels...).Add(float64(n))
	}
}

// Gauge registers a value that is asked for when the metrics are read, from
// any goroutine. It has no labels.
func (m *Metrics) Gauge(d Metric, read func() float64) {
	name := d.name()
	if m == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: d.Help}, read))
}

// Timer keeps how long something took.
type Timer struct{ vec *prometheus.HistogramVec }

// Timer registers a histogram of seconds, whose buckets go from 0.1 ms to
// 100 s in steps of about three.
func (m *Metrics) Timer(d Metric) Timer {
	name := d.name()
	if m == nil {
		return Timer{}
	}
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: d.Help, Buckets: buckets()}, d.Labels)
	m.registry.MustRegister(vec)
	if len(d.Labels) == 0 {
		vec.WithLabelValues()
	}
	return Timer{vec}
}

// Observe keeps one duration, under the values of the metric's labels.
func (t Timer) Observe(d time.Duration, labels ...string) {
	if t.vec != nil {
		t.vec.WithLabelValues(labels...).Observe(d.Seconds())
	}
}

func buckets() []float64 {
	return []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100}
}
