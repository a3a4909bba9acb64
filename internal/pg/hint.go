package pg

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	listen = `LISTEN weir`
	// Of each topic the newest text. Hints are sent in a transaction of their own,
	// because who notifies commits one after the other.
	notify    = `SELECT pg_notify('weir', topic || ' ' || text) FROM unnest($1::text[], $2::text[]) AS hint (topic, text)`
	hintPause = 5 * time.Millisecond
	lastHints = time.Second            // at a close
	listenTry = 500 * time.Millisecond // between connections that cannot be made
)

// hints are texts by topic from any node to all, itself too. They may be lost,
// and then are made up by who polls, too.
type hints struct {
	pool *pgxpool.Pool
	dial *pgx.ConnConfig
	log  *slog.Logger
	stop context.CancelFunc
	done sync.WaitGroup

	listening func() // begins to listen, once; before there is nobody to tell

	send chan struct{} // there is something pending; holds one

	mu      sync.Mutex // guards:
	pending map[string]string
	hearers map[string][]*func(string)
}

func startHints(pool *pgxpool.Pool, dial *pgx.ConnConfig, log *slog.Logger) *hints {
	ctx, stop := context.WithCancel(context.Background())
	h := &hints{
		pool: pool, dial: dial, log: log, stop: stop, send: make(chan struct{}, 1),
		pending: map[string]string{}, hearers: map[string][]*func(string){},
	}
	h.listening = sync.OnceFunc(func() { h.done.Go(func() { h.listen(ctx) }) })
	h.done.Go(func() { h.notify(ctx) })
	return h
}

func (h *hints) close() {
	h.stop()
	h.done.Wait()
}

// Notify tells all nodes of a topic, a word, soon and without waiting. Of several
// texts of a topic within 5 ms the last is told.
func (db *DB) Notify(topic, text string) {
	h := db.hints
	h.mu.Lock()
	h.pending[topic] = text
	h.mu.Unlock()
	select {
	case h.send <- struct{}{}:
	default:
	}
}

// Hear calls f with the texts of a topic, and with "" whenever some may have been
// missed, until the returned function was called. f must not block.
func (db *DB) Hear(topic string, f func(text string)) (stop func()) {
	h := db.hints
	h.listening()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hearers[topic] = append(h.hearers[topic], &f)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		kept := h.hearers[topic][:0:0]
		for _, each := range h.hearers[topic] {
			if each != &f {
				kept = append(kept, each)
			}
		}
		h.hearers[topic] = kept
	}
}

// tell calls who hears of topic, or everybody where it is "".
func (h *hints) tell(topic, text string) {
	h.mu.Lock()
	var who []*func(string)
	for t, hearers := range h.hearers {
		if topic == "" || t == topic {
			who = append(who, hearers...)
		}
	}
	h.mu.Unlock()
	for _, f := range who {
		(*f)(text)
	}
}

func (h *hints) notify(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-h.send:
			h.flush(ctx)
			pause(ctx, hintPause)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastHints)
	defer cancel()
	h.flush(last)
}

// flush sends what is pending, once: who missed it polls.
func (h *hints) flush(ctx context.Context) {
	var topics, texts []string
	h.mu.Lock()
	for topic, text := range h.pending {
		topics, texts = append(topics, topic), append(texts, text)
	}
	clear(h.pending)
	h.mu.Unlock()
	if len(topics) == 0 {
		return
	}
	if _, err := h.pool.Exec(ctx, notify, topics, texts); err != nil && ctx.Err() == nil {
		h.log.Debug("hints not sent", "err", err)
	}
}

// listen hears hints over a connection of its own, which it makes again when it is
// lost.
func (h *hints) listen(ctx context.Context) {
	for lost := false; ctx.Err() == nil; {
		err := h.listenOnce(ctx, func() {
			if lost {
				h.log.Info("hears of the database's hints again")
			}
			lost = false
		})
		if ctx.Err() == nil && !lost {
			h.log.Warn("the connection for hints was lost: what they tell of is found later", "err", err)
			lost = true
		}
		pause(ctx, listenTry)
	}
}

func (h *hints) listenOnce(ctx context.Context, heard func()) error {
	c, err := pgx.ConnectConfig(ctx, h.dial.Copy())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // the error that ended it is told
	if _, err := c.Exec(ctx, listen); err != nil {
		return err
	}
	heard()
	h.tell("", "")
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		topic, text, _ := strings.Cut(n.Payload, " ")
		h.tell(topic, text)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
