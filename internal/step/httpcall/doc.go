// Package httpcall is the step that sends the batch to a URL, and the guard of
// the addresses that may be reached.
//
// The body is CloudEvents JSON: the event alone, or a batch of them; GET and
// HEAD have none. Idempotency-Key and webhook-id are the same over all tries of
// a run and step. A 2xx status is success, its answer kept where it is JSON. A
// redirect is followed for GET only. A rendered URL cannot have another origin
// than the one that is written literally, and neither URL nor headers can hold
// control characters. Work calls it.
package httpcall
