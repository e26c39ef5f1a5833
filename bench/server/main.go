// Command server serves Sohbet's realtime layer alone, with the few events that bench/load uses and bench/peer also implements.
//
//	server [-port N] [-pprof]
//
// It listens on 127.0.0.1, prints "listening 127.0.0.1:PORT" and serves until SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"sohbet/server/realtime"
)

func main() {
	port := flag.Int("port", 0, "port to listen on; 0 = any free port")
	profile := flag.Bool("pprof", false, "serve profiles at /debug/pprof/")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *port, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, port int, profile bool) error {
	rt := realtime.New(realtime.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	rt.OnConnect(func(so *realtime.Socket) { so.OnEvent(events(rt, so)) })

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", rt)
	if profile {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	}
	listener := net.ListenConfig{KeepAlive: -1} // as in production
	ln, err := listener.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	fmt.Println("listening", ln.Addr())

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return errors.Join(rt.Close(bound), srv.Shutdown(bound))
}

// events returns the event handler of one socket; calls do not overlap.
func events(rt *realtime.Server, so *realtime.Socket) func(realtime.Event) {
	received, misplaced := 0, 0 // "up" counts the events of a burst and those out of order
	return func(e realtime.Event) {
		switch e.Name {
		case "up":
			if n, err := strconv.Atoi(string(e.Arg(0))); err != nil || n != received {
				misplaced++
			}
			received++
		case "up-report":
			e.Ack(received, misplaced)
		case "echo":
			e.Ack(e.Args...)
		case "join-room":
			so.Join(text(e.Arg(0)))
			e.Ack()
		case "fan":
			if f, err := rt.Encode("message", e.Arg(1)); err == nil {
				rt.Publish(realtime.Publication{First: realtime.Group{Room: text(e.Arg(0)), Frames: []realtime.Frame{f}}})
			}
			if e.Ack != nil {
				e.Ack()
			}
		case "down":
			count, _ := strconv.Atoi(string(e.Arg(0)))
			for i := range min(count, 1_000_000) {
				if _, err := so.Emit("seq", i); err != nil {
					return
				}
			}
		}
	}
}

// text decodes a JSON string; anything else is "".
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
