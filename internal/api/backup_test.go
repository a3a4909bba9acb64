package api

import (
	"io"
	"net/http/httptest"
	"testing"

	"weir"
	"weir/client"
)

func TestABackupIsStreamedAndOneThatFailsEndsEarly(t *testing.T) {
	t.Parallel()
	a, _ := newAPI(t)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	c := &client.Client{URL: server.URL, Token: "weir_admin"}
	read := func(o client.BackupOptions) (string, error) {
		from, err := c.Backup(t.Context(), o)
		if err != nil {
			return "", err
		}
		defer from.Close()
		text, err := io.ReadAll(from)
		return string(text), err
	}

	if text, err := read(client.BackupOptions{}); text != "a backup" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if text, err := read(client.BackupOptions{Key: true}); err == nil {
		t.Errorf("read %q of one that failed, and no error", text)
	}
	c.Token = "weir_viewer"
	if _, err := c.Backup(t.Context(), client.BackupOptions{}); weir.CodeOf(err) != weir.Forbidden {
		t.Errorf("a viewer got %v", err)
	}
}
