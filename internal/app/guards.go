package app

import (
	"weir/internal/api"
	"weir/internal/auth"
	"weir/internal/blob"
	"weir/internal/dispatch"
	"weir/internal/ingest"
	"weir/internal/journal/chapter"
	"weir/internal/order"
	"weir/internal/secret"
	"weir/internal/source/declared"
	"weir/internal/source/webhook"
	"weir/internal/state/sqlite"
	"weir/internal/track"
	"weir/internal/work"
)

// What each room asks of others, and who is that here.
var (
	_ dispatch.Journal = (*chapter.Journal)(nil)
	_ work.Journal     = (*chapter.Journal)(nil)
	_ ingest.Journal   = (*chapter.Journal)(nil)
	_ order.Journal    = (*chapter.Journal)(nil)
	_ track.Journal    = (*chapter.Journal)(nil)
	_ track.End        = (*chapter.Journal)(nil)

	_ dispatch.Blobs = (*blob.Store)(nil)
	_ work.Blobs     = (*blob.Store)(nil)
	_ track.Blobs    = (*blob.Store)(nil)
	_ ingest.Blobs   = doorBlobs{}

	_ dispatch.State      = (*sqlite.State)(nil)
	_ order.State         = (*sqlite.State)(nil)
	_ track.State         = (*sqlite.State)(nil)
	_ api.State           = (*sqlite.State)(nil)
	_ webhook.State       = (*sqlite.State)(nil)
	_ declared.State      = (*sqlite.State)(nil)
	_ ingest.RefusalStore = (*sqlite.State)(nil)
	_ secret.Sealed       = (*sqlite.State)(nil)
	_ auth.Store          = tokenStore{}

	_ dispatch.Workers = (*work.Loop)(nil)
	_ work.Dispatcher  = (*dispatch.Dispatcher)(nil)
	_ order.Dispatcher = (*dispatch.Dispatcher)(nil)
	_ track.Dispatcher = (*dispatch.Dispatcher)(nil)
	_ api.Settler      = (*dispatch.Dispatcher)(nil)
	_ order.Past       = (*track.Reader)(nil)

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
