package assets

import "net/http"

// The Socket.IO client that the pages use. package.json pins the same version,
// and assets_test.go holds the two together.
const (
	ClientVersion = "4.8.3"
	// ClientCDN is the origin that a Content-Security-Policy must allow when the client is not embedded.
	ClientCDN = "https://cdn.socket.io"
	// ClientIntegrity is the Subresource Integrity value of socket.io.min.js in that version.
	ClientIntegrity = "sha384-kzavj5fiMwLKzzD1f8S7TeoVIEi7uKHvbTA3ueZkrzYq75pNQUiUi6Dy98Q3fxb0"

	clientMain = "socket.io.min.js"
	// ClientModule is the client as a module, which pages have in their bundles.
	ClientModule = "socket.io.esm.min.js"
)

// clientFiles are served under /socket.io/, as the Node.js server does.
var clientFiles = map[string]bool{clientMain: true, "socket.io.js": true, ClientModule: true}

// ClientURL returns the address of one of the client's files on its CDN, in the pinned version.
func ClientURL(name string) string {
	return ClientCDN + "/" + ClientVersion + "/" + name
}

// Client returns a handler for one of the client's files, or false when it was not embedded at build time: the caller then
// redirects to ClientURL.
func Client(name string) (http.Handler, bool) {
	f := staticFiles()["vendor/"+name]
	if !clientFiles[name] || f == nil {
		return nil, false
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("v") == ClientVersion {
			f.serve(w, r, cacheForever)
			return
		}
		f.serve(w, r, cacheADay)
	}), true
}

// ClientEmbedded reports whether pages load the client from this server.
func ClientEmbedded() bool {
	_, ok := Client(clientMain)
	return ok
}

// clientScript is what a page's <script> element needs to load the client.
type clientScript struct{ Src, Integrity string }

func clientTag(base string) *clientScript {
	if ClientEmbedded() {
		return &clientScript{Src: base + URL("vendor/"+clientMain), Integrity: ClientIntegrity}
	}
	return &clientScript{Src: ClientURL(clientMain), Integrity: ClientIntegrity}
}
