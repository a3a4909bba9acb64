package app

import (
	"weir/internal/api"
	"weir/internal/auth"
	"weir/internal/blob"
	pgblob "weir/internal/blob/postgres"
	"weir/internal/dispatch"
	"weir/internal/ingest"
	"weir/internal/journal/chapter"
	pgjournal "weir/internal/journal/postgres"
	"weir/internal/leader"
	"weir/internal/node"
	"weir/internal/order"
	"weir/internal/secret"
	"weir/internal/source/declared"
	"weir/internal/source/webhook"
	"weir/internal/state/postgres"
	"weir/internal/state/sqlite"
	"weir/internal/track"
	"weir/internal/work"
)

// What each room asks of others, and who is that here.
var (
	_ journalStore   = (*chapter.Journal)(nil)
	_ stateStore     = (*sqlite.State)(nil)
	_ controlStore   = (*sqlite.State)(nil)
	_ dispatch.State = (*sqlite.State)(nil)
	_ journalStore   = (*pgjournal.Journal)(nil)
	_ stateStore     = (*postgres.State)(nil)
	_ controlStore   = (*postgres.State)(nil)
	_ dispatch.State = (*postgres.Tenure)(nil)
	_ blobStore      = blobs[*blob.Writer]{}
	_ blobStore      = blobs[*pgblob.Writer]{}

	_ dispatch.Blobs = blobStore(nil)
	_ work.Blobs     = blobStore(nil)
	_ track.Blobs    = blobStore(nil)
	_ declared.State = stateStore(nil)
	_ auth.Store     = tokenStore{}

	_ dispatch.Workers = (*work.Loop)(nil)
	_ work.Dispatcher  = (*dispatch.Dispatcher)(nil)
	_ order.Dispatcher = (*dispatch.Dispatcher)(nil)
	_ track.Dispatcher = (*dispatch.Dispatcher)(nil)
	_ api.Settler      = (*dispatch.Dispatcher)(nil)
	_ order.Past       = (*track.Reader)(nil)

	_ api.Nodes       = (*postgres.State)(nil)
	_ api.Nodes       = (*alone)(nil)
	_ dispatcher      = (*node.Dispatch)(nil)
	_ dispatcher      = (*counted)(nil)
	_ dispatch.Nodes  = granting{}
	_ node.Dispatcher = (*dispatch.Dispatcher)(nil)
	_ node.Rows       = (*postgres.State)(nil)
	_ node.Runs       = (*postgres.State)(nil)
	_ node.Checkpoint = (*postgres.State)(nil)
	_ node.Registry   = (*registry)(nil)
	_ leader.Store    = holdStore{}

	_ api.Reader      = (*track.Reader)(nil)
	_ api.Streams     = (*track.Tail)(nil)
	_ api.Orders      = (*order.Orders)(nil)
	_ api.Secrets     = (*secret.Store)(nil)
	_ api.Tokens      = (*auth.Tokens)(nil)
	_ ingest.Types    = (*declared.Types)(nil)
	_ api.Hooks       = (*webhook.Hooks)(nil)
	_ work.Secrets    = (*secret.Store)(nil)
	_ webhook.Secrets = (*secret.Store)(nil)
)
