package httpcall

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
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
// another.
func (c *call) setSignature(id string, content []byte) error {
	text, err := c.sign.Render(c.vars)
	if err != nil {
		return err
	}
	secrets := strings.Fields(text)
	if len(secrets) == 0 {
		return weir.E("", weir.Invalid, "the secret is empty")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		if signatures[i], err = signature(secret, id, at, content); err != nil {
			return err
		}
	}
	c.set("Webhook-Id", id)
	c.set("Webhook-Timestamp", at)
	c.set("Webhook-Signature", strings.Join(signatures, " "))
	return nil
}

// signature returns "v1," and the HMAC-SHA256 of "{id}.{at}.{content}" in base64.
func signature(secret, id, at string, content []byte) (string, error) {
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, secretPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil || len(key) == 0 {
			return "", weir.E("", weir.Invalid, "what follows %s in the secret is not base64", secretPrefix)
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(content)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
