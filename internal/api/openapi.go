package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"weir/client"
)

// Document returns the OpenAPI 3.1 document of the API, as JSON.
func (a *API) Document() ([]byte, error) {
	raw, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// describePlain adds the calls that stand outside of huma to the document.
func (a *API) describePlain() {
	doc := a.huma.OpenAPI()
	schemas := doc.Components.Schemas
	problem := &huma.Response{Description: "Error", Content: map[string]*huma.MediaType{
		client.ProblemType: {Schema: schemas.Schema(reflect.TypeFor[client.Problem](), true, "Problem")},
	}}
	receipts := &huma.Response{Description: "Accepted, and durable", Headers: weirSeq(), Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemas.Schema(reflect.TypeFor[client.Receipts](), true, "Receipts")},
	}}
	taken := map[string]*huma.Response{"202": receipts, "default": problem}
	nothing := map[string]*huma.Response{"204": {Description: "Yes"}, "default": problem}

	doc.AddOperation(publishOperation(schemas, taken))
	a.describeStream(problem)
	a.describeData(problem)
	a.describeBackup(problem)
	for path, id := range map[string]string{"/hooks/{source}": "default-hook", "/hooks/{project}/{source}": "hook"} {
		for _, op := range hookOperations(problem, taken) {
			op.Path, op.OperationID, op.Parameters = path, op.OperationID+"-"+id, pathParameters(path)
			doc.AddOperation(op)
		}
	}
	doc.AddOperation(&huma.Operation{
		OperationID: "is-alive", Method: http.MethodGet, Path: "/healthz", Summary: "Ask whether the process is alive", Responses: nothing,
	})
	doc.AddOperation(&huma.Operation{
		OperationID: "is-ready", Method: http.MethodGet, Path: "/readyz", Summary: "Ask whether everything is taken and shown",
		Responses: map[string]*huma.Response{
			"204": nothing["204"], "default": problem,
			"200": {Description: "Yes, and something is wrong all the same", Content: map[string]*huma.MediaType{
				"application/json": {Schema: schemas.Schema(reflect.TypeFor[client.Readiness](), true, "Readiness")},
			}},
		},
	})
}

// hookOperations are a delivery and the handshakes before it.
func hookOperations(problem *huma.Response, taken map[string]*huma.Response) []*huma.Operation {
	responses := maps.Clone(taken)
	responses["200"] = &huma.Response{Description: "A handshake, answered", Content: map[string]*huma.MediaType{
		"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}
	handshake := map[string]*huma.Response{"200": responses["200"], "default": problem}
	return []*huma.Operation{
		{
			OperationID: "deliver", Method: http.MethodPost, Summary: "Deliver a webhook, whose signature stands for a token",
			Responses: responses,
			RequestBody: &huma.RequestBody{Content: map[string]*huma.MediaType{
				"application/json": {Schema: &huma.Schema{}}, "*/*": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
			}},
		},
		{
			OperationID: "confirm", Method: http.MethodGet, Responses: handshake,
			Summary: "Give hub.challenge back to a sender that knows the source's verify_token",
		},
		{
			OperationID: "allow", Method: http.MethodOptions, Responses: handshake,
			Summary: "Say who may deliver, as CloudEvents Web Hooks asks",
		},
	}
}

func publishOperation(schemas huma.Registry, taken map[string]*huma.Response) *huma.Operation {
	one := schemas.Schema(reflect.TypeFor[client.Event](), true, "Event")
	responses := maps.Clone(taken)
	responses["200"] = &huma.Response{Description: "Lines are being taken: a chunk each, and a total at the end", Content: map[string]*huma.MediaType{
		client.LinesType: {Schema: &huma.Schema{OneOf: []*huma.Schema{
			schemas.Schema(reflect.TypeFor[client.Chunk](), true, "Chunk"), schemas.Schema(reflect.TypeFor[client.Total](), true, "Total"),
		}}},
	}}
	return &huma.Operation{
		OperationID: "publish-events", Method: http.MethodPost, Path: "/v1/events", Summary: "Publish events, all of them or none",
		Description: publishing,
		Security:    []map[string][]string{{"token": {}}},
		Parameters:  plainParameters(),
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			client.EventType:   {Schema: one},
			client.BatchType:   {Schema: &huma.Schema{Type: huma.TypeArray, Items: one}},
			"application/json": {Schema: &huma.Schema{}},
			client.LinesType:   {Schema: &huma.Schema{Type: huma.TypeString}},
			"multipart/form-data": {Schema: &huma.Schema{
				Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeString}, Properties: map[string]*huma.Schema{
					"type": {Type: huma.TypeString, Description: "Of the events; topic is another name of it."},
					"file": {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
				},
			}},
			"*/*": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}},
		Responses: responses,
	}
}

const publishing = `Needs the role publisher. The body is one of:

- CloudEvents in structured or batched mode, or, with the header ce-specversion, one in binary mode, of any content type.
- Plain JSON: the data of one event, whose attributes are the query's; any further parameter is an extension. Without an id, ` +
	`the header Idempotency-Key is it.
- Lines (also application/ndjson and application/jsonl), each a CloudEvent in JSON or, with a type in the query, plain JSON. They are ` +
	`taken in chunks, each whole or not at all, and answered with 200 and a line for each. A line without an id gets ` +
	`"{Idempotency-Key}.{line}".
- A form with files: an event for each, whose attributes are the form's fields, with the id "{Idempotency-Key}.{number}".

All but forms may be compressed: Content-Encoding: gzip.`

func (a *API) describeStream(problem *huma.Response) {
	doc := a.huma.OpenAPI()
	params := []*huma.Param{{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: huma.TypeString}}}
	for _, p := range streamParams {
		params = append(params, &huma.Param{Name: p.name, In: "query", Description: p.doc, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	var items []*huma.Schema
	for _, of := range []struct {
		name string
		data reflect.Type
	}{
		{"Event", reflect.TypeFor[client.Event]()},
		{"RunChange", reflect.TypeFor[client.RunChange]()},
		{"Group", reflect.TypeFor[client.Group]()},
		{"Gap", reflect.TypeFor[client.Gap]()},
		{"Dropped", reflect.TypeFor[client.Dropped]()},
	} {
		items = append(items, doc.Components.Schemas.Schema(of.data, true, of.name))
	}
	doc.AddOperation(&huma.Operation{
		OperationID: "stream", Method: http.MethodGet, Path: "/v1/stream", Summary: "Tell what happens, as server-sent events",
		Description: "Needs the role viewer. Items are of the kinds event, run (a change of a run), group (one that ended, told at " +
			"its run's first change), gap (what is not kept any more) and dropped (why the stream ends); data is the JSON of one " +
			"of these shapes, id is where the stream stands.",
		Security: []map[string][]string{{"token": {}}}, Parameters: params,
		Responses: map[string]*huma.Response{
			"200":     {Description: "What happens", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{OneOf: items}}}},
			"default": problem,
		},
	})
}

func plainParameters() []*huma.Param {
	params := []*huma.Param{{Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString}}}
	for _, name := range []string{"type", "source", "id", "subject", "time", "dataschema", "execution"} {
		params = append(params, &huma.Param{
			Name: name, In: "query", Description: "With plain JSON only.", Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	first := 1.0
	return append(params, &huma.Param{
		Name: "line", In: "query", Description: "With lines only: the number of the first one.",
		Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: &first},
	})
}

func pathParameters(path string) []*huma.Param {
	names := []string{"source"}
	if path != "/hooks/{source}" {
		names = []string{"project", "source"}
	}
	var params []*huma.Param
	for _, name := range names {
		params = append(params, &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	return params
}
