package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"strings"

	"weir"
	"weir/internal/project/yaml"
	"weir/internal/schema"
)

var eventKeys = yaml.Keys{
	Of:      "a declared event",
	Known:   []string{"schema"},
	Example: "{schema: schemas/order.placed.json}",
}

// declared reads a declared type of events.
func (r *reader) declared(text string, n *yaml.Node) {
	e := weir.EventType{Name: text}
	if !n.IsNull() {
		for _, value := range r.Entries(n, eventKeys) {
			e.Schema = r.schema(value)
		}
	}
	r.set.EventTypes = append(r.set.EventTypes, e)
}

// schema reads a JSON Schema: that of the file that is named, or what stands in
// place. It is stored whole in the definition, which so is of one version of it.
func (r *reader) schema(n *yaml.Node) json.RawMessage {
	var text []byte
	switch {
	case n.Kind == yaml.Scalar:
		if text = r.beside(n, "schemas/order.placed.json"); text == nil {
			return nil
		}
	case !r.IsMapping(n, "a schema", "{type: object}, or the name of a file"):
		return nil
	default:
		text = r.JSON(n)
	}
	if r.set.schemas += len(text); r.set.schemas > maxSchemas {
		r.Fail(n, "", "more than %d bytes of schemas", maxSchemas)
		return nil
	}
	_, err := schema.Compile(text)
	if e, wrong := errors.AsType[*weir.Error](err); wrong {
		at := n
		if keys := strings.Split(e.Field, "/"); n.Kind == yaml.Mapping && len(keys) > 1 {
			at = n.At(keys[1:]...)
		}
		r.Fail(at, "", "%s: %s", e.Field, e.Message)
		return nil
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, text) // it is JSON: it was compiled
	return compact.Bytes()
}

// beside returns the file that a text names, which lies beside the project file
// or below it.
func (r *reader) beside(n *yaml.Node, example string) []byte {
	text := r.Words(n, example)
	if text == "" {
		return nil
	}
	at := path.Join(path.Dir(r.from.Path), text)
	if path.IsAbs(text) || r.from.Beside != nil && !fs.ValidPath(at) {
		r.Fail(n, "put it into the directory", "%q leaves the directory of the project", yaml.Clip(text))
		return nil
	}
	found, ok := r.from.Beside[at]
	if !ok {
		r.Fail(n, "is it there, not hidden, and sent along?", "there is no file %q beside this one", yaml.Clip(text))
	}
	return found
}
