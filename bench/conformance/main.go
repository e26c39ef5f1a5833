// Command conformance serves Sohbet's Engine.IO and Socket.IO layers, the same code as in production, in the form that language-neutral
// conformance suites for both protocols expect.
//
//	go run ./bench/conformance -mode engine -port 3000   # Engine.IO at /engine.io/, echoing every message
//	go run ./bench/conformance -mode socket -port 3000   # Socket.IO at /socket.io/, with the events of the suite
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"sohbet/bench/conformance/suite"
)

func main() {
	mode := flag.String("mode", "socket", "engine or socket")
	host := flag.String("host", "127.0.0.1", "address to listen on")
	port := flag.Int("port", 3000, "port to listen on")
	flag.Parse()
	if err := run(*mode, net.JoinHostPort(*host, strconv.Itoa(*port))); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(mode, address string) error {
	handlers := map[string]func() http.Handler{"engine": suite.Engine, "socket": suite.Socket}
	handler, ok := handlers[mode]
	if !ok {
		return errors.New(`-mode must be "engine" or "socket"`)
	}
	server := &http.Server{Addr: address, Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	fmt.Printf("%s server on http://%s\n", mode, address)
	return server.ListenAndServe()
}
