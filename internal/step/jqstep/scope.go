package jqstep

import (
	"fmt"
	"strconv"

	"weir"
	"weir/internal/expr"
	"weir/internal/jq"
)

// attributes are what $event is: those that the event has, under their
// CloudEvents names. The time of one without is that of its acceptance.
func attributes(rec *weir.Record) map[string]any {
	e := rec.Event
	all := map[string]any{
		"id": e.ID, "source": e.Source, "type": e.Type, "time": e.TimeOr(rec.At).String(), "hops": e.Hops,
	}
	for name, value := range map[string]string{
		"subject": e.Subject, "datacontenttype": e.ContentType, "dataschema": e.Schema, "execution": e.Execution,
		"cause": e.Cause.String(),
	} {
		if value != "" {
			all[name] = value
		}
	}
	for _, x := range e.Extensions {
		switch x.Kind {
		case weir.ExtensionInt:
			n, _ := strconv.Atoi(x.Value) // the door has seen that it is one
			all[x.Name] = n
		case weir.ExtensionBool:
			all[x.Name] = x.Value == "true"
		case weir.ExtensionString:
			all[x.Name] = x.Value
		}
	}
	return all
}

// plain makes what expressions see into what programs do.
func plain(fields expr.Fields) map[string]any {
	all := make(map[string]any, len(fields))
	for name, value := range fields {
		switch v := value.(type) {
		case nil, string, bool, int, float64:
			all[name] = v
		case expr.JSON:
			all[name], _ = jq.Decode(v) // the fold made it
		default:
			all[name] = fmt.Sprint(v)
		}
	}
	return all
}
