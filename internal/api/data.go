package api

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir"
)

// slowest is how many bytes a second a client must take of data.
const slowest = 64 << 10

// eventData answers the data of an event, byte for byte, whole or in ranges. It
// stands outside of huma, which would hold it in memory. What people sent is
// never shown by a browser as if the server had said it.
func (a *API) eventData(w http.ResponseWriter, r *http.Request) {
	uid, err := parsed(weir.ParseEventUID(r.PathValue("id")))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	e, data, err := a.Reader.EventData(r.Context(), callerOf(r.Context()).project, uid)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	defer data.Close()
	if e.Blob != nil {
		within := answerTime + time.Duration(e.Blob.Size/slowest)*time.Second
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
	}
	h := w.Header()
	h.Set("Content-Type", e.ContentType)
	if e.ContentType == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fileName(uid, e)}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", `"`+sumOf(e)+`"`)
	http.ServeContent(w, r, "", time.Time{}, data)
}

// sumOf returns the SHA-256 of an event's data in hex.
func sumOf(e *weir.Event) string {
	if e.Blob != nil {
		return hex.EncodeToString(e.Blob.Sum[:])
	}
	sum := sha256.Sum256(e.Data)
	return hex.EncodeToString(sum[:])
}

// fileName returns the name of the file that was uploaded, or one for the data.
// What came in with a publisher's event may be no path.
func fileName(uid weir.EventUID, e *weir.Event) string {
	for _, x := range e.Extensions {
		if x.Name != "filename" {
			continue
		}
		if name := path.Base(strings.ReplaceAll(x.Value, `\`, "/")); name != "." && name != ".." && name != "/" {
			return name
		}
	}
	if e.IsJSON() {
		return uid.String() + ".json"
	}
	return uid.String()
}

// backup streams a backup of the whole server. Where it fails midway the
// connection ends early, and the file has no end by which it would be taken.
func (a *API) backup(w http.ResponseWriter, r *http.Request) {
	if err := callerOf(r.Context()).NeedServer(); err != nil {
		a.fail(w, r, err)
		return
	}
	key, err := backupKey(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	out := &backupWriter{to: w, control: http.NewResponseController(w)}
	err = a.Backup(r.Context(), out, BackupOptions{Key: key})
	switch {
	case err != nil && !out.begun:
		a.fail(w, r, err)
	case err != nil:
		if r.Context().Err() == nil {
			a.log.Error("backup ended early", "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

func backupKey(r *http.Request) (bool, error) {
	text := r.URL.Query().Get("key")
	if text == "" {
		return false, nil
	}
	key, err := strconv.ParseBool(text)
	if err != nil {
		return false, weir.E("", weir.Invalid, "%q is neither true nor false", text).WithField("key")
	}
	return key, nil
}

// backupWriter gives a client time for each write, not for all of them.
type backupWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (w *backupWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.to.Header().Set("Content-Type", "application/x-tar")
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(answerTime))
	return w.to.Write(b)
}

func (a *API) describeBackup(problem *huma.Response) {
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "backup", Method: http.MethodGet, Path: "/v1/backup", Summary: "Back up the whole server",
		Description: "Needs an admin's token for all projects. A tar whose last part is sums.json: one without it is incomplete. " +
			"With PostgreSQL it is a conflict: back up the database, which has everything.",
		Security: []map[string][]string{{"token": {}}},
		Parameters: []*huma.Param{{
			Name: "key", In: "query", Schema: &huma.Schema{Type: huma.TypeBoolean},
			Description: "With the key of the secrets, which makes the file itself a secret.",
		}},
		Responses: map[string]*huma.Response{
			"200": {Description: "The backup", Content: map[string]*huma.MediaType{
				"application/x-tar": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
			}},
			"default": problem,
		},
	})
}

func (a *API) describeData(problem *huma.Response) {
	bytes := map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
	text := &huma.Schema{Type: huma.TypeString}
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "get-event-data", Method: http.MethodGet, Path: "/v1/events/{id}/data", Summary: "Get the data of an event as it came",
		Description: "Needs the role viewer. The ETag is the SHA-256 of the data in hex.",
		Security:    []map[string][]string{{"token": {}}},
		Parameters: []*huma.Param{
			{Name: "id", In: "path", Required: true, Schema: text},
			{Name: "Range", In: "header", Schema: text},
			{Name: "If-None-Match", In: "header", Schema: text},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: "All of it", Content: bytes}, "206": {Description: "The ranges asked for", Content: bytes},
			"304": {Description: "As it was"}, "416": {Description: "There are no such bytes"}, "default": problem,
		},
	})
}
