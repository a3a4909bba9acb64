package httpcall

import (
	"net/netip"
	"testing"

	"weir"
)

func TestGuardKnowsForbiddenAddressesInAllTheirForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1",
		"168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
		"192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
		"64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::",
		"2001::1", "2001:db8::1", "3fff::1", "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
	} {
		if err := (Guard{}).Check(netip.MustParseAddr(text)); weir.CodeOf(err) != weir.Forbidden {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if err := (Guard{}).Check(netip.Addr{}); weir.CodeOf(err) != weir.Forbidden {
		t.Errorf("no address: got %v", err)
	}
}

func TestGuardLetsPublicAddressesThrough(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "11.0.0.1", "100.63.255.255", "100.128.0.1", "128.0.0.1", "168.63.129.17", "172.15.0.1", "172.32.0.1",
		"192.167.0.1", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2606:4700::1111", "2a00:1450::1",
	} {
		if err := (Guard{}).Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestGuardAllowsWhatConfigurationAllows(t *testing.T) {
	t.Parallel()
	g := NewGuard(prefixes("127.0.0.0/8", "::1/128", "10.1.2.3/32", "fd00::/8"))

	for _, text := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "10.1.2.3", "fd12::7"} {
		if err := g.Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"10.1.2.4", "::2", "169.254.169.254", "64:ff9b::127.0.0.1"} {
		if err := g.Check(netip.MustParseAddr(text)); err == nil {
			t.Errorf("%s is allowed", text)
		}
	}
}
