package project

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"weir/internal/project/yaml"
)

const schemaFile = "../../docs/project.schema.json"

func projectSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := os.Open(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer doc.Close()
	body, err := jsonschema.UnmarshalJSON(doc)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("project", body); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("project")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON returns a file as an editor sees it that knows JSON Schema.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	r := &yaml.Reader{Name: "x", Text: text}
	root := r.Tree()
	if root == nil {
		return nil
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.JSON(root)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestGoodProjectFilesFitTheSchema(t *testing.T) {
	t.Parallel()
	schema, good, refused := projectSchema(t), 0, 0
	datadriven.Walk(t, "testdata/language", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			set, err := Parse(File{Name: "x.yaml", Text: []byte(d.Input)})
			fits := schema.Validate(asJSON(t, d.Input))
			switch {
			case err != nil && fits != nil:
				refused++
			case err != nil: // of what only Weir can see
			case fits != nil:
				t.Errorf("%s: a good file does not fit: %v", d.Pos, fits)
			case len(set.Definitions()) > 0:
				good++
			}
			return d.Expected
		})
	})
	if good < 40 || refused < 30 {
		t.Errorf("%d good files fit, %d bad ones do not: what became of the rest?", good, refused)
	}
}

func TestSchemaHasTheKeysThatFilesHave(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	type shape struct {
		Properties map[string]any
		Defs       map[string]shape `json:"$defs"`
	}
	var root shape
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}

	root.Defs["project"] = root
	for name, k := range map[string]yaml.Keys{
		"project": projectKeys, "event": eventKeys, "source": sourceKeys, "webhook": webhookKeys, "signature": signatureKeys,
		"token": tokenKeys, "trigger": triggerKeys, "match": matchKeys, "fire": fireKeys, "max_events": maxEventsKeys,
		"pipeline": pipelineKeys, "retry": retryKeys, "concurrency": concurrencyKeys, "step": stepKeys,
		"transform": transformKeys, "http": httpKeys, "emit": emitKeys, "log": logKeys, "destination": destinationKeys,
	} {
		var got []string
		for key := range root.Defs[name].Properties {
			got = append(got, key)
		}
		slices.Sort(got)
		want := slices.Clone(k.Known)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-read +in the schema):\n%s", name, diff)
		}
	}
}
