// Package order appends what people order: new definitions, and changes of
// runs. It reads, decides, appends under an identity that only one can take,
// and begins anew where another was first; then it waits until the order is
// folded and flushed. The API calls it.
package order
