// Package api is Weir's native HTTP interface under /v1: it decodes requests,
// asks who calls, hands on to the rooms behind it, and turns their answers and
// errors into JSON. It decides nothing and knows no store; app wires it.
//
// Every answer that is an error is problem+json, and error.go holds the one map
// from codes to statuses. The OpenAPI document is generated from the handlers.
package api
