package httpcall

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"weir/internal/expr"
	"weir/internal/pipeline"
)

// Options says how a caller reaches out.
type Options struct {
	Allow     []netip.Prefix // networks that may be called although they are not public
	UserAgent string         // "": Weir
	Timeout   time.Duration  // of a step that names none; 0: DefaultTimeout

	// Proxy says through which proxy a request goes. Nil: through none,
	// whatever the environment says. Where there is one, only its own address is
	// checked: which addresses it reaches is for it to say.
	Proxy func(*http.Request) (*url.URL, error)
}

// Caller makes the requests of all http steps of a node. It keeps connections
// open between them.
type Caller struct {
	client    *http.Client
	userAgent string
	timeout   time.Duration

	mu        sync.Mutex // guards templates
	templates map[string]*expr.Template
}

// maxTemplates bounds the headers of destinations that a caller keeps compiled.
const maxTemplates = 1024

// template returns a compiled header of a destination. Destinations change
// without their pipelines, so steps cannot hold them.
func (c *Caller) template(text string) (*expr.Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.templates[text]; t != nil {
		return t, nil
	}
	t, err := expr.CompileTemplate(text, expr.ScopeStep)
	if err != nil {
		return nil, err
	}
	if len(c.templates) >= maxTemplates {
		clear(c.templates)
	}
	c.templates[text] = t
	return t, nil
}

const (
	dialTimeout   = 10 * time.Second
	idleTimeout   = 90 * time.Second
	idlePerOrigin = 64
	idleInAll     = 512
	maxRedirects  = 5
	maxHeader     = 64 << 10 // bytes of an answer's header
)

// NewCaller returns a caller that reaches what its guard allows.
func NewCaller(o Options) *Caller {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: NewGuard(o.Allow).control}
	if o.UserAgent == "" {
		o.UserAgent = "Weir"
	}
	c := &Caller{userAgent: o.UserAgent, timeout: cmp.Or(o.Timeout, DefaultTimeout), templates: make(map[string]*expr.Template)}
	c.client = &http.Client{
		CheckRedirect: c.follow,
		Transport: &http.Transport{
			Proxy:                  o.Proxy,
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    dialTimeout,
			IdleConnTimeout:        idleTimeout,
			MaxIdleConnsPerHost:    idlePerOrigin,
			MaxIdleConns:           idleInAll,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
	return c
}

// Close closes the connections that are idle.
func (c *Caller) Close() { c.client.CloseIdleConnections() }

// follow follows redirects of GET only, never from https to http; the dialer
// checks each address. What was written into headers is for the origin that was
// written beside it: it goes to no other, nor back to it at another's word.
func (c *Caller) follow(req *http.Request, via []*http.Request) error {
	first := via[0]
	downgrade := via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https"
	to, home := pipeline.OriginOf(req.URL), pipeline.OriginOf(first.URL)
	if first.Method != http.MethodGet || len(via) > maxRedirects || to == "" || downgrade {
		return http.ErrUseLastResponse
	}
	if to != home || slices.ContainsFunc(via, func(r *http.Request) bool { return pipeline.OriginOf(r.URL) != home }) {
		req.Header = http.Header{"User-Agent": {c.userAgent}}
		req.URL.User = nil
	}
	return nil
}
