// Command provider is an OpenID Connect provider for oidc.test.mjs: the example server of zitadel/oidc with a client "chat" and a few
// users. It is a module of its own, because the server needs none of its dependencies.
package main

import (
	"flag"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// users are the users by name; their passwords are "secret".
type users map[string]*storage.User

func (u users) GetUserByID(id string) *storage.User { return u[id] }

func (u users) GetUserByUsername(name string) *storage.User { return u[name] }

func (u users) ExampleClientID() string { return "" }

func main() {
	port := flag.String("port", "", "port to listen on")
	redirect := flag.String("redirect", "", "where the client's users are sent back to")
	flag.Parse()
	list := users{}
	for _, u := range []storage.User{
		{ID: "ada", Email: "Ada@shop.example", EmailVerified: true}, {ID: "eve", Email: "eve@shop.example"}, {ID: "guest", Email: "guest@shop.example", EmailVerified: true},
	} {
		u.Username, u.Password = u.ID, "secret"
		list[u.ID] = &u
	}
	storage.RegisterClients(storage.WebClient("chat", "a secret of the client", *redirect))
	router := exampleop.SetupServer("http://localhost:"+*port, storage.NewStorage(list), slog.Default(), false)
	server := &http.Server{Addr: net.JoinHostPort("127.0.0.1", *port), Handler: router, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}
