package step

import "weir"

// WithData returns the event with other data, which is JSON. It is the same
// event: only its data, and what is said of it, are new.
func WithData(rec *weir.Record, data []byte) *weir.Record {
	e := *rec.Event
	e.Data, e.Blob, e.Schema = data, nil, ""
	if !e.IsJSON() {
		e.ContentType = "application/json"
	}
	r := *rec
	r.Event = &e
	return &r
}
