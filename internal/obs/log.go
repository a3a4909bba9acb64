// Package obs is how Weir is watched: its log and its metrics. App makes both
// and passes them to the rooms; nothing here is global.
package obs

import (
	"io"
	"log/slog"

	"weir"
)

// NewLogger returns a logger that writes to w. Level is debug, info, warn or
// error; format text or json. Times are UTC.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var o slog.HandlerOptions
	l, ok := levels[level]
	if !ok {
		return nil, weir.E("", weir.Invalid, "%q is no level of a log: use debug, info, warn or error", level)
	}
	o.Level, o.ReplaceAttr = l, utc
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &o)), nil
	}
	return nil, weir.E("", weir.Invalid, "%q is no format of a log: use text or json", format)
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// utc writes the time of a line in UTC.
func utc(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
