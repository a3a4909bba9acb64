// Package interop holds Weir's door to CloudEvents as others speak it: the SDK
// for Go sends to a whole server, and every feature of the HTTP binding and of
// the JSON format that docs/cloudevents.md lists has the test that it names.
package interop
