// Command load puts a bounded load of one kind on a Socket.IO server on this machine and prints its cost as one line of JSON. The
// server must answer the events of bench/server; bench/peer is the same in JavaScript.
//
//	load -addr 127.0.0.1:3000 -pid 4711 -mode echo
//
// Several servers of one cluster are given with commas; the connections are distributed over them.
//
// It connects to loopback addresses only, opens at most 20,000 connections and stops after at most ten minutes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

const (
	maxConnections = 20_000
	maxEvents      = 1_000_000
	maxRun         = 10 * time.Minute
)

// target is the server under test and the parameters of the load.
type target struct {
	addr   string     // address of the first server
	urls   []*url.URL // of all servers
	dialer ws.Dialer
	server *process
	until  time.Time
	cookie string // visitors, heartbeats, messages, history: the agent's session cookie

	database int // messages, return: process id of PostgreSQL

	conns    int           // connections held, members of the room, or total connections (churn)
	parallel int           // connections opened at the same time
	events   int           // events of a burst, pages of history
	depth    int           // echo: outstanding events per connection; fanout: undelivered messages if there is no rate
	rate     int           // fanout: messages per second, 0 = as fast as they are delivered
	size     int           // fanout: approximate size of a message in bytes
	warm     time.Duration // time under load before measuring
	measure  time.Duration // duration of the measurement
	settle   time.Duration // idle: time between the last connection and the measurement
}

var modes = map[string]func(context.Context, *target) (any, error){
	"idle": idle, "echo": echo, "fanout": fanout, "burst": burst, "churn": churn, "messages": messages,
	"history": history, "visitors": visitors, "heartbeats": heartbeats, "return": comeBack, "uploads": uploads,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	t := &target{}
	fs.StringVar(&t.addr, "addr", "127.0.0.1:3000", "host:port of the server, loopback only; several separated by commas")
	pids := fs.String("pid", "", "process id of the server, to measure its CPU and memory; several separated by commas")
	database := fs.Int("database", 0, "messages, return: process id of PostgreSQL, to measure its CPU")
	mode := fs.String("mode", "echo", "idle, echo, fanout, burst, churn, or visitors, heartbeats, messages, history and uploads for the whole server, or return for several")
	fs.IntVar(&t.conns, "conns", 50, "connections held; fanout: members of the room; churn: total connections; uploads: photos at the same time")
	fs.IntVar(&t.parallel, "parallel", 50, "connections opened at the same time")
	fs.IntVar(&t.events, "events", 10_000, "burst: events in one tick; history: pages read")
	fs.IntVar(&t.depth, "depth", 1, "echo, messages: outstanding events per connection; fanout without -rate: undelivered messages")
	fs.IntVar(&t.rate, "rate", 0, "fanout: messages per second (0 = as fast as they are delivered)")
	fs.IntVar(&t.size, "size", 300, "fanout: approximate bytes of a message")
	fs.DurationVar(&t.warm, "warm", time.Second, "time under load before measuring starts")
	fs.DurationVar(&t.measure, "measure", 5*time.Second, "time measured")
	fs.DurationVar(&t.settle, "settle", 30*time.Second, "idle: wait before measuring; the default covers a heartbeat")
	fs.StringVar(&t.cookie, "cookie", "", "visitors, heartbeats, messages, history: Cookie header of a signed-in agent, who then receives the events")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	if *pids != "" {
		t.server = &process{}
		for text := range strings.SplitSeq(*pids, ",") {
			pid, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("-pid: %q is not a process id", text)
			}
			t.server.pids = append(t.server.pids, pid)
		}
	}
	t.database = *database
	do, ok := modes[*mode]
	if !ok {
		return fmt.Errorf("unknown mode %q", *mode)
	}
	t.until = time.Now().Add(maxRun)
	ctx, cancel := context.WithDeadline(ctx, t.until)
	defer cancel()
	result, err := do(ctx, t)
	if err != nil {
		return fmt.Errorf("%s: %w", *mode, err)
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// check refuses loads that are too large or not directed at this machine.
func (t *target) check() error {
	for text := range strings.SplitSeq(t.addr, ",") {
		addr, err := loopback(text)
		if err != nil {
			return err
		}
		t.urls = append(t.urls, &url.URL{Scheme: "ws", Host: addr, Path: "/socket.io/", RawQuery: "EIO=4&transport=websocket"})
	}
	t.addr = t.urls[0].Host
	t.dialer = ws.Dialer{ReadBufferSize: 1024, WriteBufferSize: 512}
	if t.cookie != "" {
		t.dialer.Header = ws.HandshakeHeaderHTTP{"Cookie": {t.cookie}}
	}
	switch {
	case t.conns < 1 || t.parallel < 1 || t.events < 1 || t.depth < 1 || t.rate < 0 || t.size < 1 || t.size > 100_000:
		return errors.New("counts must be positive and sizes at most 100,000 bytes")
	case t.events > maxEvents || t.depth > 1000 || t.parallel > 1000:
		return fmt.Errorf("at most %d events, depth 1000 and 1000 parallel connections", maxEvents)
	case t.warm < 0 || t.measure <= 0 || t.settle < 0 || t.warm+t.measure+t.settle > maxRun/2:
		return fmt.Errorf("warm, measure and settle together must not exceed %v", maxRun/2)
	}
	return nil
}

// loopback returns the address of a server, which must be a loopback address.
func loopback(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("%s is not a loopback address; this tool only loads servers on the same machine", host)
	}
	return net.JoinHostPort(host, port), nil
}
