// Package httpcall is the step that makes an HTTP request, and the guard of the
// addresses that may be reached.
//
// The body is the batch as CloudEvents JSON, one event in binary mode, or what
// the step says; GET and HEAD have none. Idempotency-Key and webhook-id are the
// same over all tries of a run, step and, with each, event. The answer is kept,
// becomes an event, or becomes the batch. A redirect is followed for GET only.
// Values stay in the part of the URL where they were put, and cannot put control
// characters into headers. Work calls it, once per event where the step says
// each.
package httpcall
