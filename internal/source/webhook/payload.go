package webhook

import (
	"encoding/json"
	"mime"
	"net/url"
	"slices"

	"weir"
	"weir/internal/ingest"
)

const (
	jsonType   = "application/json"
	formType   = "application/x-www-form-urlencoded"
	binaryType = "application/octet-stream"
)

// payload returns the data of a delivery and its media type: JSON as it is, a
// form as JSON, and all else as it is where the kind of webhook does not say
// that it is JSON.
func payload(kind string, d *delivery) (data []byte, contentType string, err error) {
	header := d.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(header)
	raw := !slices.Contains([]string{"github", "stripe", "slack"}, kind)
	switch {
	case err == nil && media == formType:
		data, err = form(d.body)
		return data, jsonType, err
	case err == nil && weir.IsJSONType(media), raw && header == "" && ingest.CheckJSON(d.body) == nil:
		return d.body, jsonType, ingest.CheckJSON(d.body)
	case !raw:
		e := weir.E("", weir.Invalid, "content type %q is not taken: use %s or %s", header, jsonType, formType)
		e.Err = ingest.ErrContentType
		return nil, "", e
	case len(d.body) == 0:
		return nil, "", nil
	case header == "":
		return d.body, binaryType, nil
	}
	return d.body, header, nil
}

// form returns the JSON of a form: its value payload, as GitHub and Slack send
// it, or else its values by name, those given several times as arrays.
func form(body []byte) ([]byte, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, weir.E("", weir.Invalid, "the form cannot be read: %w", err)
	}
	if values.Has("payload") {
		data := []byte(values.Get("payload"))
		if err := ingest.CheckJSON(data); err != nil {
			return nil, weir.E("", weir.Invalid, "%w", err).WithField("payload")
		}
		return data, nil
	}
	all := make(map[string]any, len(values))
	for name, given := range values {
		if all[name] = given; len(given) == 1 {
			all[name] = given[0]
		}
	}
	return json.Marshal(all) // sorted, so the same form is the same data; bytes that are no UTF-8 are replaced
}

// textOf returns a text of a JSON body that is an object, or "".
func (d *delivery) textOf(name string) string {
	var all map[string]json.RawMessage
	var text string
	if json.Unmarshal(d.body, &all) != nil || json.Unmarshal(all[name], &text) != nil {
		return ""
	}
	return text
}
