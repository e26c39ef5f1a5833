package assets

import "net/http"

// The Socket.IO client that the pages use. package.json pins the same version; TestClientPins compares the two.
const (
	ClientVersion = "4.8.3"
	// ClientCDN is the origin that a Content-Security-Policy must allow when the client is not embedded.
	ClientCDN = "https://cdn.socket.io"
	// ClientIntegrity is the Subresource Integrity value of socket.io.min.js in that version.
	ClientIntegrity = "sha384-kzavj5fiMwLKzzD1f8S7TeoVIEi7uKHvbTA3ueZkrzYq75pNQUiUi6Dy98Q3fxb0"

	clientMain   = "socket.io.min.js"
	clientModule = "socket.io.esm.min.js"
)

// clientFiles are the files served under /socket.io/, as Socket.IO servers do.
var clientFiles = map[string]bool{clientMain: true, "socket.io.js": true, clientModule: true}

// ClientURL returns the address of one of the client's files on its CDN, in the pinned version.
func ClientURL(name string) string {
	return ClientCDN + "/" + ClientVersion + "/" + name
}

// ClientName reports whether name is one of the files served under /socket.io/.
func ClientName(name string) bool { return clientFiles[name] }

// Client returns a handler for one of the client's files, or false if it was not embedded at build time: then the caller
// redirects to ClientURL.
func Client(name string) (http.Handler, bool) {
	f, known := staticFiles["vendor/"+name]
	if !clientFiles[name] || !known {
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

// ClientEmbedded reports whether the client was embedded at build time, so that page bundles include it.
func ClientEmbedded() bool {
	_, ok := Client(clientMain)
	return ok
}

// clientScript holds the attributes of the <script> element that loads the client; Src is "" if the page's bundle includes it.
type clientScript struct{ Src, Integrity string }

func clientTag() clientScript {
	if ClientEmbedded() {
		return clientScript{}
	}
	return clientScript{Src: ClientURL(clientMain), Integrity: ClientIntegrity}
}
