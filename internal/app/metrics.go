package app

import "weir/internal/obs"

// measure registers what the stores tell of themselves.
func (a *App) measure() {
	a.metrics.Gauge(obs.Metric{
		Room: "journal", Thing: "durable", Unit: "records", Help: "Place of the last durable record.",
	}, func() float64 { return float64(a.journal.Head()) })
	a.metrics.Gauge(obs.Metric{
		Room: "state", Thing: "written", Unit: "rows", Help: "Rows inserted, changed or deleted since the start.",
	}, func() float64 { return float64(a.state.RowsWritten()) })
	a.metrics.Gauge(obs.Metric{
		Room: "dispatch", Thing: "lost_data", Unit: "events", Help: "Events whose data was missing or damaged when they were folded.",
	}, func() float64 { return float64(a.dispatch.Lost()) })
}
