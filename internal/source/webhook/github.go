package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"weir"
)

// githubSignature is the header with which GitHub signs a body:
// "sha256=" and the hex of its HMAC-SHA256 under the webhook's secret.
const githubSignature = "X-Hub-Signature-256"

// verifyGitHub fails with Unauthenticated where the signature is not that of
// the body. The comparison takes the same time wherever they differ.
func verifyGitHub(signature string, body []byte, secret string) error {
	if signature == "" {
		return weir.E("", weir.Unauthenticated, "the header is missing").WithField(githubSignature)
	}
	digits, found := strings.CutPrefix(signature, "sha256=")
	given, err := hex.DecodeString(digits)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if !found || err != nil || !hmac.Equal(given, mac.Sum(nil)) {
		return weir.E("", weir.Unauthenticated, "the signature is not that of the body").WithField(githubSignature)
	}
	return nil
}
