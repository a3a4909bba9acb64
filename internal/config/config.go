// Package config is the server's own configuration: one tree of values, whose
// defaults are overridden by a YAML file, that by WEIR_* variables of the
// environment, and those by flags. Definitions (triggers, pipelines) are not
// part of it: they are data, put there by `weir apply`.
//
// The CLI loads it, app reads it; rooms get single values. docs/configuration.md
// lists all settings.
package config

import (
	"net/netip"
	"os"
	"slices"
	"time"

	"weir"
)

// Config is all that can be set about a server.
type Config struct {
	Data              string         `yaml:"data"`               // directory of journal and state
	Database          Database       `yaml:"database"`           // PostgreSQL that keeps them in place of Data
	Listen            string         `yaml:"listen"`             // host:port of the HTTP API
	Node              string         `yaml:"node"`               // name of this process among others
	Duties            []weir.Duty    `yaml:"duties"`             // what this process does of all that there is to do
	Retention         weir.Duration  `yaml:"retention"`          // how long projects that say nothing keep what happened
	DedupWindow       weir.Duration  `yaml:"dedup_window"`       // how long an event is known, so that the same is a duplicate
	DrainDelay        DrainDelay     `yaml:"drain_delay"`        // how long a stop goes on answering while it says that it is not ready
	SecretKey         Secret         `yaml:"secret_key"`         // seals secrets, in place of the key file in Data
	AllowDestinations []netip.Prefix `yaml:"allow_destinations"` // networks that steps may call although they are not public
	Log               Log            `yaml:"log"`
	Limits            Limits         `yaml:"limits"`
	Admin             Admin          `yaml:"admin"`

	places map[string][]string // key -> what set it, the last of which holds
}

// Log says what is logged, and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// Limits bound what one client, event or run may take.
type Limits struct {
	EventData     Size `yaml:"event_data"`      // data of one event
	InlineData    Size `yaml:"inline_data"`     // data that stands in the journal; what is longer is a blob
	Body          Size `yaml:"body"`            // a request with events, and lines that are taken together
	BatchEvents   int  `yaml:"batch_events"`    // events in a request
	ChunkLines    int  `yaml:"chunk_lines"`     // lines that are taken together
	File          Size `yaml:"file"`            // an uploaded file
	FormFiles     int  `yaml:"form_files"`      // files in a form
	FormFields    Size `yaml:"form_fields"`     // the other fields of a form together
	InFlight      Size `yaml:"in_flight"`       // bodies at the door at once
	HooksInFlight Size `yaml:"hooks_in_flight"` // likewise, of webhooks, whose senders are not known yet

	StepTimeout weir.Duration `yaml:"step_timeout"` // of a step that sets none
	RunLog      Size          `yaml:"run_log"`      // log of one try
	WorkerSlots int           `yaml:"worker_slots"` // runs tried at once by this node
	Origin      int           `yaml:"origin"`       // runs of a project at one origin at once
	Streams     int           `yaml:"streams"`      // streams open at once
}

// Admin is how the first start knows the administrator. A token that is not set
// is made and printed once.
type Admin struct {
	Token Secret `yaml:"token"`
}

// AllDuties returns the duties that there are: what a process does where nothing
// else is said.
func AllDuties() []weir.Duty {
	return []weir.Duty{weir.DutyAPI, weir.DutyDispatch, weir.DutyWork, weir.DutyUpkeep}
}

// Has reports whether the process has a duty.
func (c *Config) Has(d weir.Duty) bool { return slices.Contains(c.Duties, d) }

// Default returns the configuration that holds where nothing is set. The node
// is named after the machine.
func Default() Config {
	node, err := os.Hostname()
	if err != nil || !isNodeName(node) {
		node = "weir"
	}
	return Config{
		Data:   "weir-data",
		Listen: "127.0.0.1:9347",
		Node:   node,
		Duties: AllDuties(),

		Retention:   weir.Duration(30 * day),
		DedupWindow: weir.Duration(7 * day),

		Log: Log{Level: "info", Format: "text"},
		Limits: Limits{
			EventData:     1 * MiB,
			InlineData:    256 * KiB,
			Body:          8 * MiB,
			BatchEvents:   1000,
			ChunkLines:    1000,
			File:          100 * MiB,
			FormFiles:     100,
			FormFields:    64 * KiB,
			InFlight:      256 * MiB,
			HooksInFlight: 64 * MiB,

			StepTimeout: weir.Duration(30 * time.Second),
			RunLog:      64 * KiB,
			WorkerSlots: 256,
			Origin:      64,
			Streams:     1000,
		},
	}
}
