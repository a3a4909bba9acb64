// Package docs embeds what the command line prints of the documentation.
package docs

import _ "embed" // for ProjectSchema

// ProjectSchema is the JSON Schema (2020-12) of project files.
//
//go:embed project.schema.json
var ProjectSchema []byte
