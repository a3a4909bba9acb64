// Package secret seals values under the server's key and opens them for those
// who use them. Only sealed bytes leave it for a store; a value in the clear is
// handed to callers of Store.Reveal and is never printed, logged or answered.
package secret
