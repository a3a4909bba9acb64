package client

import "weir"

// LinesType is the media type of events in lines (NDJSON). Its answer is in
// lines too: a Chunk for each part that was taken or turned away whole, in
// order, while the upload goes on, and a Total at the end.
const LinesType = "application/x-ndjson"

// Chunk answers one part of an upload of lines. With an Error, nothing of the
// part was taken; Error.Line is the line at fault.
type Chunk struct {
	Chunk      int      `json:"chunk" doc:"Counts the parts from 1."`
	Lines      int      `json:"lines" doc:"How many lines it had, empty ones among them."`
	Taken      int      `json:"taken" doc:"How many events of it are new."`
	Duplicates int      `json:"duplicates" doc:"How many had been accepted before."`
	Seq        weir.Seq `json:"seq,omitempty" doc:"The greatest place in the journal of its events."`
	Error      *Problem `json:"error,omitempty" doc:"Why nothing of it was taken."`
}

// Total is the last line of the answer to an upload of lines. Where it is not
// Done, Error says why the server stopped, and what comes after the first Lines
// lines was not taken: send it again.
type Total struct {
	Done       bool     `json:"done" doc:"Whether all lines were read."`
	Lines      int      `json:"lines" doc:"In the chunks that were answered."`
	Taken      int      `json:"taken" doc:"How many events are new."`
	Duplicates int      `json:"duplicates" doc:"How many had been accepted before."`
	Refused    int      `json:"refused" doc:"How many lines are in chunks that were turned away."`
	Error      *Problem `json:"error,omitempty" doc:"Why the rest was not taken."`
}
