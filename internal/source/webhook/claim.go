package webhook

import (
	"crypto/sha1" // as a MAC, where the sender knows no better (RFC 6194, section 3.3)
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir"
)

// claim is what a delivery says of itself: signatures, and what they are of.
type claim struct {
	field     string // the header that has the signatures
	hash      func() hash.Hash
	given     [][]byte // any of which may be right: senders change their secrets, too
	signed    []byte
	timestamp string // "" where the kind has none; likewise timeField
	timeField string
	id        string // of the delivery
	idField   string // of the body, where the id is there; read once that is verified
}

// unauthenticated returns the error about a header.
func unauthenticated(field, format string, args ...any) error {
	return weir.E("", weir.Unauthenticated, format, args...).WithField(field)
}

// claimOf reads what a delivery of a kind with signatures says of itself. The
// errors are Unauthenticated, with the header at fault.
func (s *source) claimOf(d *delivery) (claim, error) {
	switch s.hook.Verify {
	case "github":
		return github(d)
	case "standard":
		return standard(d)
	case "stripe":
		return stripe(d)
	case "slack":
		return slack(d)
	default:
		return s.generic(d)
	}
}

// github: X-Hub-Signature-256 is "sha256=" and the hex of the HMAC-SHA256 of the
// body.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func github(d *delivery) (claim, error) {
	c := claim{field: "X-Hub-Signature-256", hash: sha256.New, signed: d.body, id: d.Header.Get("X-GitHub-Delivery")}
	err := c.one(d.Header, "sha256=", hex.DecodeString)
	return c, err
}

// standard: webhook-signature has, with spaces between them, "v1," and the base64
// of the HMAC-SHA256 of "{webhook-id}.{webhook-timestamp}.{body}". Svix calls
// the same headers svix-.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func standard(d *delivery) (claim, error) {
	prefix := "Webhook-"
	if d.Header.Get("Svix-Signature") != "" && d.Header.Get("Webhook-Signature") == "" {
		prefix = "Svix-"
	}
	c := claim{field: prefix + "Signature", hash: sha256.New, timeField: prefix + "Timestamp"}
	c.id, c.timestamp = d.Header.Get(prefix+"Id"), d.Header.Get(c.timeField)
	header := d.Header.Get(c.field)
	switch {
	case header == "":
		return c, unauthenticated(c.field, "the header is missing")
	case c.id == "":
		return c, unauthenticated(prefix+"Id", "the header is missing")
	}
	asymmetric := false
	for entry := range strings.FieldsSeq(header) {
		version, text, _ := strings.Cut(entry, ",")
		asymmetric = asymmetric || version == "v1a"
		if given, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && version == "v1" {
			c.given = append(c.given, given)
		}
	}
	if len(c.given) == 0 && asymmetric {
		return c, unauthenticated(c.field, "signatures of the version v1a, with a public key, are not taken: use a symmetric secret (v1)")
	}
	c.signed = join(c.id, ".", c.timestamp, ".", string(d.body))
	return c, c.found()
}

// stripe: Stripe-Signature is "t=" and a time, and any number of "v1=" and the
// hex of the HMAC-SHA256 of "{t}.{body}", with commas between them.
// https://docs.stripe.com/webhooks#verify-manually
func stripe(d *delivery) (claim, error) {
	c := claim{field: "Stripe-Signature", hash: sha256.New, timeField: "Stripe-Signature", idField: "id"}
	header := d.Header.Get(c.field)
	if header == "" {
		return c, unauthenticated(c.field, "the header is missing")
	}
	for entry := range strings.SplitSeq(header, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(entry), "=")
		switch name {
		case "t":
			c.timestamp = text
		case "v1":
			if given, err := hex.DecodeString(text); err == nil {
				c.given = append(c.given, given)
			}
		}
	}
	c.signed = join(c.timestamp, ".", string(d.body))
	return c, c.found()
}

// slack: X-Slack-Signature is "v0=" and the hex of the HMAC-SHA256 of
// "v0:{X-Slack-Request-Timestamp}:{body}".
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func slack(d *delivery) (claim, error) {
	c := claim{field: "X-Slack-Signature", hash: sha256.New, timeField: "X-Slack-Request-Timestamp", idField: "event_id"}
	c.timestamp = d.Header.Get(c.timeField)
	c.signed = join("v0:", c.timestamp, ":", string(d.body))
	err := c.one(d.Header, "v0=", hex.DecodeString)
	return c, err
}

// generic is what the definition says.
func (s *source) generic(d *delivery) (claim, error) {
	how := s.hook.Signature
	c := claim{field: how.Header, timeField: how.Timestamp, hash: sha256.New}
	switch how.Algorithm {
	case "sha1":
		c.hash = sha1.New
	case "sha512":
		c.hash = sha512.New
	}
	decode := hex.DecodeString
	if how.Encoding == "base64" {
		decode = base64.StdEncoding.Strict().DecodeString
	}
	if c.timeField != "" {
		c.timestamp = d.Header.Get(c.timeField)
	}
	for _, p := range s.signed {
		switch p {
		case "{body}":
			c.signed = append(c.signed, d.body...)
			continue
		case "{timestamp}":
			p = c.timestamp
		default:
			if name, ok := placeholder(p); ok {
				if p = d.Header.Get(name); p == "" {
					return c, unauthenticated(name, "the header is missing")
				}
			}
		}
		c.signed = append(c.signed, p...)
	}
	err := c.one(d.Header, how.Prefix, decode)
	return c, err
}

// one reads a header with one signature.
func (c *claim) one(h http.Header, prefix string, decode func(string) ([]byte, error)) error {
	header := h.Get(c.field)
	if header == "" {
		return unauthenticated(c.field, "the header is missing")
	}
	if text, ok := strings.CutPrefix(header, prefix); ok {
		if given, err := decode(text); err == nil {
			c.given = append(c.given, given)
		}
	}
	return c.found()
}

// found fails where the header has no signature, whatever else is in it.
func (c *claim) found() error {
	if len(c.given) == 0 {
		return unauthenticated(c.field, "the header has no signature of the kind that the source asks for")
	}
	return nil
}

// fresh fails where the claim's time is farther from now than tolerance.
func (c *claim) fresh(now time.Time, tolerance time.Duration) error {
	if c.timeField == "" {
		return nil
	}
	if c.timestamp == "" {
		return unauthenticated(c.timeField, "there is no timestamp")
	}
	at, ok := instant(c.timestamp)
	if !ok {
		return unauthenticated(c.timeField, "the timestamp is neither seconds nor milliseconds since 1970, nor RFC 3339")
	}
	off := now.Sub(at)
	if off.Abs() <= tolerance {
		return nil
	}
	way := "old"
	if off < 0 {
		way = "ahead of this server's clock"
	}
	return unauthenticated(c.timeField, "the timestamp is %v %s, and %v are the most", off.Abs().Truncate(time.Second), way, weir.Duration(tolerance))
}

// instant reads a timestamp. Seconds have eleven digits at most until the year
// 5138.
func instant(text string) (time.Time, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 || len(text) > 13 {
			return time.Time{}, false
		}
		if len(text) > 11 {
			return time.UnixMilli(n), true
		}
		return time.Unix(n, 0), true
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

// signedParts splits what is signed into text and placeholders.
func signedParts(signed string) (parts []string) {
	for signed != "" {
		from := strings.IndexByte(signed, '{')
		to := strings.IndexByte(signed, '}')
		if from < 0 || to < from {
			return append(parts, signed)
		}
		if from > 0 {
			parts = append(parts, signed[:from])
		}
		parts, signed = append(parts, signed[from:to+1]), signed[to+1:]
	}
	return parts
}

// placeholder returns the name in {name}.
func placeholder(part string) (string, bool) {
	if len(part) > 2 && part[0] == '{' && part[len(part)-1] == '}' {
		return part[1 : len(part)-1], true
	}
	return "", false
}

func join(parts ...string) []byte { return []byte(strings.Join(parts, "")) }
