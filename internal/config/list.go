package config

import (
	"net/netip"
	"slices"
	"strings"

	"weir"
)

// list is a value that a file may also write as a list of texts.
type list interface{ isList() }

// words splits a list separated by commas.
func words(text string) []string {
	var all []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// duties are those of a process, in the order of AllDuties. As with networks,
// what is set after the first adds to it.
type duties struct {
	list  *[]weir.Duty
	given bool
}

func (d *duties) isList() {}

// Set adds duties.
func (d *duties) Set(text string) error {
	set := words(text)
	if d.given {
		set = append(set, words(d.String())...)
	}
	all, is := AllDuties(), []weir.Duty{}
	for _, w := range set {
		if !slices.Contains(all, weir.Duty(w)) {
			return weir.E("", weir.Invalid, "%q is none of %s", w, join(all))
		}
	}
	for _, duty := range all {
		if slices.Contains(set, string(duty)) {
			is = append(is, duty)
		}
	}
	*d.list, d.given = is, true
	return nil
}

// String returns the duties, separated by commas.
func (d *duties) String() string {
	if d.list == nil {
		return ""
	}
	return join(*d.list)
}

// Type returns the word for the value in the list of flags.
func (d *duties) Type() string { return "duties" }

func join(all []weir.Duty) string {
	texts := make([]string, len(all))
	for i, d := range all {
		texts[i] = string(d)
	}
	return strings.Join(texts, ",")
}

// networks is a list separated by commas. What is set first replaces the list,
// what is set after that adds to it, as a flag that is given again should.
type networks struct {
	list  *[]netip.Prefix
	given bool
}

func (n *networks) isList() {}

// Set adds networks.
func (n *networks) Set(text string) error {
	var set []netip.Prefix
	for _, part := range words(text) {
		p, err := parseNetwork(part)
		if err != nil {
			return err
		}
		set = append(set, p)
	}
	if n.given {
		set = append(*n.list, set...)
	}
	*n.list, n.given = set, true
	return nil
}

// String returns the networks, separated by commas.
func (n *networks) String() string {
	if n.list == nil {
		return ""
	}
	texts := make([]string, len(*n.list))
	for i, p := range *n.list {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

// Type returns the word for the value in the list of flags.
func (n *networks) Type() string { return "networks" }

// parseNetwork reads a network, or an address as the network of it alone.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, weir.E("", weir.Invalid, "%q is not a network such as 10.1.0.0/16", text)
	}
	if p.Addr().Is4In6() {
		return p, weir.E("", weir.Invalid, "%q is to be written as a network of IPv4", text)
	}
	return p.Masked(), nil
}
