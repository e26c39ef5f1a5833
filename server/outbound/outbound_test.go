package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "142.250.1.1": true, "172.15.255.255": true, "172.32.0.1": true, "100.63.255.255": true, "100.128.0.1": true,
		"192.0.1.1": true, "198.17.255.255": true, "198.20.0.1": true, "223.255.255.255": true, "169.253.1.1": true, "::ffff:8.8.8.8": true,
		"2606:4700::1111": true, "2a00:1450:4001::200e": true, "2001:4860:4860::8888": true, "2620:fe::fe": true, "3ffe::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false, "100.64.0.1": false, "100.127.255.255": false,
		"127.0.0.1": false, "127.255.255.254": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.0.0.1": false, "192.0.0.170": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.0.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::2": false, "::127.0.0.1": false, "::7f00:1": false, "::10.0.0.1": false, "::8.8.8.8": false,
		"::ffff:127.0.0.1": false, "::ffff:7f00:1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:0:127.0.0.1": false,
		"0:0:0:0:0:ffff:c0a8:1": false, "64:ff9b::127.0.0.1": false, "64:ff9b::8.8.8.8": false, "64:ff9b:1::7f00:1": false, "64:ff9b:1:ffff::1": false,
		"100::1": false, "100:0:0:1::1": false, "200::1": false, "400::1": false, "800::1": false, "1000::1": false, "1fff::1": false,
		"2001::1": false, "2001:0:7f00:1::": false, "2001:2::1": false, "2001:10::1": false, "2001:20::1": false, "2001:db8::1": false,
		"2002:7f00:1::": false, "2002:c0a8:1::1": false, "2002:808:808::1": false, "3fff::1": false, "3fff:fff::1": false, "4000::1": false, "5f00::1": false,
		"8000::1": false, "fc00::1": false, "fd00::1": false, "fdff:ffff::1": false, "fe00::1": false, "fe80::1": false, "fe80::1%eth0": false, "febf::1": false,
		"fec0::1": false, "feff::1": false, "ff02::1": false, "ff0e::1": false, "2606:4700::1111%eth0": false,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestMayBePublic(t *testing.T) {
	for host, want := range map[string]bool{
		"fcm.googleapis.com": true, "push.example": true, "xn--bcher-kva.example.": true, "8.8.8.8": true, "2606:4700::1111": true, "1.2.3.4.example": true,
		"": false, ".": false, "localhost": false, "LOCALHOST": false, "localhost.": false, "a.localhost": false, "printer.local": false, "metadata.google.internal": false,
		"127.0.0.1": false, "127.0.0.1.": false, "127.1": false, "2130706433": false, "0x7f000001": false, "0x7f.1": false, "0177.0.0.1": false, "1.2.3": false,
		"::127.0.0.1": false, "fec0::1": false, "fe80::1%eth0": false, "[::1]": false, "::1.": false,
	} {
		if got := MayBePublic(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}

// nameserver answers each query for an IPv4 address with the next answer, and then repeats the last one.
func nameserver(t *testing.T, answers ...[4]byte) (*net.Resolver, *atomic.Int32) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	ended := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	go func() {
		defer close(ended)
		buffer := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return // closed
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				answer := answers[min(int(asked.Add(1)), len(answers))-1]
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: answer},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, &asked
}

// inside listens on this machine and counts connections.
func inside(t *testing.T) (port string, connected *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connected = &atomic.Int32{}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			_ = conn.Close()
		}
	}()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), connected
}

func TestNameThatResolvesToAnotherAddressTheSecondTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resolver, asked := nameserver(t, [4]byte{8, 8, 8, 8}, [4]byte{127, 0, 0, 1})
	port, connected := inside(t)
	const name = "push.rebinding.example"
	checked, err := resolver.LookupNetIP(ctx, "ip4", name)
	if err != nil || len(checked) != 1 || !Public(checked[0]) || !MayBePublic(name) {
		t.Fatalf("the first look-up: %v, %v", checked, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+net.JoinHostPort(name, port)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Transport(resolver).RoundTrip(r); !errors.Is(err, ErrNotPublic) {
		t.Errorf("got %v", err)
	}
	if asked.Load() < 2 || connected.Load() != 0 {
		t.Errorf("%d look-ups, %d connections", asked.Load(), connected.Load())
	}
}

func TestAddressesOfThisMachineAreNotDialled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resolver, _ := nameserver(t, [4]byte{127, 0, 0, 1})
	port, connected := inside(t)
	for _, host := range []string{"127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "::1", "::", "0.0.0.0", "::ffff:127.0.0.1", "::127.0.0.1", "fec0::1", "64:ff9b::7f00:1", "2002:7f00:1::"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		var noName *net.DNSError // the Go resolver takes 127.1 for neither address nor name; the system's may take it for an address
		if _, err := Transport(resolver).RoundTrip(r); !errors.Is(err, ErrNotPublic) && !errors.As(err, &noName) && !errors.Is(err, syscall.EAFNOSUPPORT) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if connected.Load() != 0 {
		t.Errorf("%d connections", connected.Load())
	}
}
