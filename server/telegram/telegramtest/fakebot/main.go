// Command fakebot serves the fake Bot API for tests that are not written in Go. It prints one line of JSON with the two addresses and
// the token, and runs until its standard input is closed, so that it never outlives the process that started it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"sohbet/server/telegram/telegramtest"
)

// stderr is a Reporter that prints refused calls to standard error; GET /blame of the control API lists them too.
type stderr struct{}

func (stderr) Helper() {}
func (stderr) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fakebot:", err)
		os.Exit(1)
	}
}

func run() error {
	private := flag.Bool("private", false, "use a private chat of the operator with the bot instead of a forum group")
	flag.Parse()
	options := telegramtest.Forum()
	if *private {
		options = telegramtest.Private()
	}
	options.HTTPWebhook = true
	bot, err := telegramtest.Start(stderr{}, "127.0.0.1:0", options)
	if err != nil {
		return err
	}
	defer bot.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control := &http.Server{Handler: bot.Control(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- control.Serve(l) }()

	chat := telegramtest.GroupID
	if *private {
		chat = telegramtest.OperatorID
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"api": bot.URL, "control": "http://" + l.Addr().String(), "token": telegramtest.Token, "chat": fmt.Sprint(chat),
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // end of input is the signal to stop
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err = errors.Join(err, control.Shutdown(ctx))
	if failed := <-served; !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(err, failed)
	}
	return err
}
