// Package client speaks to a Weir server over its HTTP API. It also holds the
// wire types of that API, which the server's own api room uses, so that both
// sides agree by construction.
//
// It imports only the root package. A failure that the server answered comes
// back as a *weir.Error with the code that the server gave.
package client
