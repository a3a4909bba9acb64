package app

import (
	"weir/internal/config"
	"weir/internal/obs"
)

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
	}, func() float64 { return float64(a.rooms.lost()) })
	a.measureNode()
}

// measureNode registers what this node does of all that there is to do.
func (a *App) measureNode() {
	yes := func(thing, help string, is func() bool) {
		a.metrics.Gauge(obs.Metric{Room: "node", Thing: thing, Unit: "bool", Help: help}, func() float64 {
			if is() {
				return 1
			}
			return 0
		})
	}
	for _, duty := range config.AllDuties() {
		yes("duty_"+string(duty), "Whether the node has the duty "+string(duty)+".", func() bool { return a.config.Has(duty) })
	}
	yes("dispatches", "Whether the node dispatches now.", func() bool { return a.rooms.holds(shardHold) })
	yes("keeps", "Whether the node does the upkeep now.", func() bool { return a.rooms.holds(upkeepHold) })
	yes("drains", "Whether the node drains.", func() bool {
		_, drains := a.drain.is()
		return drains
	})
}
