// Package schema holds JSON to a JSON Schema, as the declared types of events
// have one: draft 2020-12 where a schema does not say otherwise with $schema,
// else draft 4, 6 or 7.
//
// A schema is one document: its references stay within it, and nothing is ever
// loaded. What compiling and checking may cost is bounded, so that neither a
// schema nor data can hold up a door. The project's files are compiled with it
// when they are applied, and the door checks with it what comes in.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"weir"
)

// The bounds of a schema.
const (
	MaxSize    = 256 << 10 // bytes of the document
	maxDepth   = 128       // of JSON, in schemas and data
	maxObjects = 5000      // objects and booleans of the document, each of which may be a schema
	maxChain   = 100       // schemas that one value meets on a single path
	maxCost    = 4_000_000 // of one check, see meter: a second or two
)

// Schema is compiled. It may be used by many goroutines at once.
type Schema struct {
	root  *jsonschema.Schema
	costs costs
}

// location names the document for the library. It is never loaded.
const location = "weir:///schema"

// Compile reads a schema. An Invalid error names the place at fault as its
// field, such as schema/properties/total/type.
func Compile(body []byte) (*Schema, error) {
	if len(body) > MaxSize {
		return nil, invalid("schema", "%d bytes long, and %d are the most", len(body), MaxSize)
	}
	doc, err := decode("schema", body)
	if err != nil {
		return nil, err
	}
	if err := checkDocument(doc); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(compilePattern)
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(location, doc); err != nil {
		return nil, invalid("schema", "%w", err)
	}
	root, err := c.Compile(location)
	if err != nil {
		return nil, compileError(err)
	}
	s := &Schema{root: root}
	s.costs, err = weigh(root)
	return s, err
}

// Check holds JSON to the schema. An Invalid error says in a sentence what does
// not fit, and where: its field is data, then the way to the value, such as
// data/lines/0/sku.
func (s *Schema) Check(data []byte) error {
	v, err := decode("data", data)
	if err != nil {
		return err
	}
	m := meter{costs: s.costs, left: maxCost}
	if m.visit(s.root, v, 0); m.left < 0 {
		return invalid("data", "costs too much to check against its schema")
	}
	err = s.root.Validate(v)
	if err == nil {
		return nil
	}
	failed, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return weir.E("check data", weir.Internal, "%w", err)
	}
	return faultOf(failed, "data")
}

// noLoader refuses what a schema refers to outside of itself.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errOutside }

var errOutside = errors.New("nothing outside of the document is loaded")

// decode reads one JSON value with numbers as they are written.
func decode(name string, b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, invalid(name, "not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid(name, "not JSON: something follows the value")
	}
	return v, checkValue(name, v, maxDepth)
}

func invalid(field, format string, args ...any) *weir.Error {
	return weir.E("", weir.Invalid, format, args...).WithField(field)
}
