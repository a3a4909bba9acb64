package project

import (
	"net/url"
	"strings"

	"weir"
	"weir/internal/pipeline"
	"weir/internal/project/yaml"
)

var destinationKeys = yaml.Keys{
	Of:      "a destination",
	Known:   []string{"limit", "rate", "timeout", "headers"},
	Example: "{limit: 10}",
}

func (r *reader) destination(text string, n *yaml.Node) {
	d := weir.Destination{Name: text}
	for key, value := range r.Entries(n, destinationKeys) {
		switch key.Text {
		case "limit":
			d.Limit = r.Whole(value, 1, maxConcurrency)
		case "rate":
			d.Rate = r.Rate(value)
		case "timeout":
			d.Timeout = r.Duration(value, maxWait)
		case "headers":
			d.Headers = r.headers(value)
		}
	}
	r.set.Destinations = append(r.set.Destinations, d)
}

// origin reads the name of a destination, and returns the origin as pipelines
// write it.
func (r *reader) origin(key *yaml.Node) string {
	u, err := url.Parse(key.Text)
	if err != nil || pipeline.OriginOf(u) == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		r.Fail(key, "such as https://billing.example or http://10.0.0.7:8080", "%q is no origin", yaml.Clip(key.Text))
		return ""
	}
	return pipeline.OriginOf(u)
}
