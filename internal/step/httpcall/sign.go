package httpcall

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"

	"weir"
)

// secretPrefix stands before a secret in base64 (Standard Webhooks 1.0,
// "Signature scheme"). One without it is taken as it is.
const secretPrefix = "whsec_"

// setSignature signs the request as Standard Webhooks 1.0 says: with each of the
// step's secrets, of which there are several while one takes the place of
// another. A signature is "v1," and the HMAC-SHA256 of "{id}.{timestamp}.{body}"
// in base64.
func (c *call) setSignature(ctx context.Context, id string, body content) error {
	text, err := c.sign.Render(c.vars)
	if err != nil {
		return err
	}
	at := time.Now()
	macs, err := macsOf(strings.Fields(text), id, at)
	if err != nil {
		return err
	}
	if err := body.writeTo(ctx, c, io.MultiWriter(macs...)); err != nil {
		return err
	}
	signatures := make([]string, len(macs))
	for i, mac := range macs {
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.(hash.Hash).Sum(nil))
	}
	c.set("Webhook-Id", id)
	c.set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	c.set("Webhook-Signature", strings.Join(signatures, " "))
	return nil
}

// macsOf returns a hash.Hash for each secret, which has taken all but the body.
func macsOf(secrets []string, id string, at time.Time) ([]io.Writer, error) {
	if len(secrets) == 0 {
		return nil, weir.E("", weir.Invalid, "the secret is empty")
	}
	macs := make([]io.Writer, len(secrets))
	for i, secret := range secrets {
		key := []byte(secret)
		if encoded, ok := strings.CutPrefix(secret, secretPrefix); ok {
			var err error
			if key, err = base64.StdEncoding.DecodeString(encoded); err != nil || len(key) == 0 {
				return nil, weir.E("", weir.Invalid, "what follows %s in the secret is not base64", secretPrefix)
			}
		}
		macs[i] = hmac.New(sha256.New, key)
		fmt.Fprintf(macs[i], "%s.%d.", id, at.Unix())
	}
	return macs, nil
}
