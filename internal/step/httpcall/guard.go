package httpcall

import (
	"net/netip"
	"syscall"

	"weir"
)

// Guard says which addresses may be called: the public ones, and those in the
// networks that the server's configuration allows.
type Guard struct {
	allow []netip.Prefix
}

// NewGuard returns a guard that also lets through the given networks.
func NewGuard(allow []netip.Prefix) Guard { return Guard{allow: allow} }

// forbidden are the networks that are not the public internet, from the IANA
// special-purpose registries (RFC 6890 and those since), with the addresses at
// which clouds answer with a machine's credentials.
var forbidden = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared between carrier and customer; Alibaba's metadata
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure's host
	"169.254.0.0/16",   // link-local; metadata of most clouds
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments; Oracle's metadata
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/3",      // multicast, reserved, broadcast
	"::/96",            // unspecified, loopback, IPv4-compatible
	"::ffff:0:0:0/96",  // IPv4-translated
	"64:ff9b:1::/48",   // local NAT64: what it reaches cannot be told from here
	"100::/64",         // discard
	"2001::/32",        // Teredo, which wraps IPv4
	"2001:db8::/32",    // documentation
	"3fff::/20",        // documentation
	"5f00::/16",        // segment routing
	"fc00::/7",         // unique local; AWS's metadata
	"fe80::/10",        // link-local
	"fec0::/10",        // site-local
	"ff00::/8",         // multicast
)

// wrapped are the networks whose addresses carry an IPv4 address, and at which
// byte: what they carry is judged.
var wrapped = []struct {
	network netip.Prefix
	at      int
}{
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
}

// Check returns a Forbidden error that names the address where it may not be
// called.
func (g Guard) Check(addr netip.Addr) error {
	plain := addr.Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(plain) {
			return nil
		}
	}
	judged := plain
	for _, w := range wrapped {
		if w.network.Contains(plain) {
			b := plain.As16()
			judged = netip.AddrFrom4([4]byte(b[w.at:]))
		}
	}
	for _, p := range forbidden {
		if p.Contains(judged) || !judged.IsValid() {
			return weir.E("", weir.Forbidden, "%s is a forbidden address: it is not public, and the server was not started with an --allow-destination that has it", addr)
		}
	}
	return nil
}

// control is a net.Dialer's Control: it sees each address after DNS, just
// before it is connected to, so that no second look-up can change it.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return weir.E("", weir.Forbidden, "%s is no address: %w", address, err)
	}
	return g.Check(ap.Addr())
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}
