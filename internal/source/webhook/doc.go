// Package webhook takes what other systems POST to /hooks/{project}/{source},
// verifies its signature, and brings it to the door as an event. The API routes
// requests to it and answers them; it reads a project's sources and secrets
// through the interfaces below.
package webhook
