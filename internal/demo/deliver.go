package demo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"weir"
	"weir/client"
)

// webhookSecret is what the demo signs its deliveries with.
const webhookSecret = "the demo's own secret"

// delivery is one webhook as GitHub would send it.
type delivery struct {
	event string // X-GitHub-Event
	id    string // X-GitHub-Delivery
	body  []byte
}

// deliveries reads the bodies EVENT/NAME.json, in order of their names, so that
// the demo does the same each time.
func deliveries(payloads fs.FS) ([]delivery, error) {
	names, err := fs.Glob(payloads, "*/*.json")
	if err != nil {
		return nil, err
	}
	list := make([]delivery, len(names))
	for i, name := range names {
		body, err := fs.ReadFile(payloads, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(name))
		list[i] = delivery{event: path.Dir(name), id: hex.EncodeToString(sum[:16]), body: body}
	}
	return list, nil
}

// deliver posts one webhook with its signature and returns its place.
func deliver(ctx context.Context, url string, d delivery) (weir.Seq, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/hooks/github", strings.NewReader(string(d.body)))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write(d.body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", d.event)
	req.Header.Set("X-GitHub-Delivery", d.id)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusAccepted {
		return 0, fmt.Errorf("deliver %s: the server answered %s: %s", d.event, resp.Status, answer)
	}
	seq, err := strconv.ParseUint(resp.Header.Get(client.HeaderSeq), 10, 64)
	return weir.Seq(seq), err
}
