// Package github is the example that `weir demo` runs: a project file and
// bodies of real webhooks.
package github

import "embed"

// Files holds weir.yaml and payloads/EVENT/NAME.json.
//
//go:embed weir.yaml payloads
var Files embed.FS
