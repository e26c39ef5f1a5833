// Command websockets compares Go websocket libraries in the way that Sohbet uses one: thousands of mostly idle connections, and small
// text messages. It is a separate module, so that the product does not depend on the libraries that were not chosen.
//
//	cd bench/websockets && go run . [-conns 2000] [-messages 200000]
//
// For each library a child process serves an echo; this process holds the connections and measures the child's memory (PSS growth per
// idle connection, after a garbage collection) and CPU time (per echoed message, 64 clients).
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func main() {
	conns := flag.Int("conns", 2000, "idle connections")
	messages := flag.Int("messages", 200_000, "messages echoed")
	serve := flag.String("serve", "", "serve one library (used by the program itself)")
	flag.Parse()
	var err error
	if *serve != "" {
		err = serveLibrary(*serve)
	} else {
		err = compare(min(*conns, 10_000), min(*messages, 2_000_000))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "websockets:", err)
		os.Exit(1)
	}
}

func compare(conns, messages int) error {
	fmt.Println("| library | kB per idle connection | µs CPU per message |\n|---|--:|--:|")
	for _, lib := range libraries {
		memory, cpu, err := measure(lib.name, conns, messages)
		if err != nil {
			return fmt.Errorf("%s: %w", lib.name, err)
		}
		fmt.Printf("| %s | %.1f | %.1f |\n", lib.name, memory, cpu)
	}
	return nil
}

func measure(name string, conns, messages int) (kilobytes, micros float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-serve", name)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	if err := child.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, 0, err
	}
	url := "ws://" + strings.TrimSpace(address) + "/"
	pid := child.Process.Pid

	if err := echo(ctx, url, 100, 1000); err != nil { // warm up
		return 0, 0, err
	}
	time.Sleep(time.Second)
	before, err := pss(pid)
	if err != nil {
		return 0, 0, err
	}
	held := make([]net.Conn, conns)
	for i := range held {
		if held[i], _, _, err = ws.Dial(ctx, url); err != nil {
			return 0, 0, err
		}
		if err := roundTrip(held[i]); err != nil {
			return 0, 0, err
		}
	}
	time.Sleep(5 * time.Second) // the child collects garbage every second
	after, err := pss(pid)
	if err != nil {
		return 0, 0, err
	}
	for _, c := range held {
		c.Close()
	}
	start, err := cpuTime(pid)
	if err != nil {
		return 0, 0, err
	}
	if err := echo(ctx, url, 64, messages); err != nil {
		return 0, 0, err
	}
	end, err := cpuTime(pid)
	return float64(after-before) / float64(conns) / 1000, float64((end - start).Microseconds()) / float64(messages), err
}

func echo(ctx context.Context, url string, clients, messages int) error {
	var all sync.WaitGroup
	failed := make(chan error, clients)
	for range clients {
		all.Go(func() {
			c, _, _, err := ws.Dial(ctx, url)
			if err != nil {
				failed <- err
				return
			}
			defer c.Close()
			for range messages / clients {
				if err := roundTrip(c); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return errors.Join(<-failed)
}

var message = []byte(`42["message",{"thread_id":"00000000-0000-4000-8000-000000000000","text":"Merhaba, siparişim nerede kaldı?"}]`)

func roundTrip(c net.Conn) error {
	if err := wsutil.WriteClientText(c, message); err != nil {
		return err
	}
	got, err := wsutil.ReadServerText(c)
	if err == nil && string(got) != string(message) {
		return errors.New("echo differs")
	}
	return err
}
