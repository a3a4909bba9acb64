package webhook

import (
	"context"
	"io"
	"net/http"

	"weir"
	"weir/internal/expr"
)

// maxChallenge is the longest text that a handshake gives back, in bytes.
const maxChallenge = 4096

// agree answers OPTIONS: whoever asks may send, as every delivery is verified
// (CloudEvents HTTP 1.1 Web Hooks, section 4).
func agree(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "POST, OPTIONS")
	if r.Header.Get("WebHook-Request-Origin") == "" {
		return
	}
	w.Header().Set("WebHook-Allowed-Origin", "*")
	if r.Header.Get("WebHook-Request-Rate") != "" {
		w.Header().Set("WebHook-Allowed-Rate", "*")
	}
}

// confirm answers GET with the hub.challenge of whoever knows the source's
// verify_token, as Meta and hubs of WebSub ask for.
// https://developers.facebook.com/docs/graph-api/webhooks/getting-started
func (h *Hooks) confirm(ctx context.Context, w http.ResponseWriter, src *source, d *delivery) error {
	query := d.URL.Query()
	mode := query.Get("hub.mode")
	switch {
	case src.verifyToken == nil:
		return weir.E("", weir.Invalid, "GET is answered only where the source has a verify_token: use POST")
	case mode != "subscribe" && mode != "unsubscribe":
		return weir.E("", weir.Invalid, "%q is neither subscribe nor unsubscribe", mode).WithField("hub.mode")
	}
	secrets, err := h.reveal(ctx, src, d, []*expr.Template{src.verifyToken})
	if err != nil {
		return err
	}
	if err := same("hub.verify_token", query.Get("hub.verify_token"), secrets); err != nil {
		return err
	}
	return give(w, "hub.challenge", query.Get("hub.challenge"))
}

// challenged answers a verified delivery that is no event and asks for a text,
// and reports whether it was one: Slack's url_verification, and the
// validationToken of Microsoft Graph.
// https://docs.slack.dev/reference/events/url_verification
// https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
func (s *source) challenged(w http.ResponseWriter, d *delivery) (bool, error) {
	switch query := d.URL.Query(); {
	case s.hook.Verify == "slack" && d.textOf("type") == "url_verification":
		return true, give(w, "challenge", d.textOf("challenge"))
	case s.hook.Verify == "token" && query.Has("validationToken"):
		return true, give(w, "validationToken", query.Get("validationToken"))
	}
	return false, nil
}

// give answers with a text of the sender's, as nothing but text.
func give(w http.ResponseWriter, field, text string) error {
	if text == "" || len(text) > maxChallenge {
		return weir.E("", weir.Invalid, "is 1 to %d bytes long", maxChallenge).WithField(field)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, text) // the sender may be gone
	return nil
}
