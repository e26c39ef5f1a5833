package app

import (
	"net/http"
	"strings"
	"testing"

	"sohbet/docs/protocoltest"
	"sohbet/models/storetest"
)

func TestProtocolListsRoutes(t *testing.T) {
	var routes []string
	for _, route := range open(t, storetest.Open(t, "sqlite")).server.Routes() {
		if !strings.HasPrefix(route, http.MethodHead+" ") {
			routes = append(routes, route)
		}
	}
	protocoltest.Compare(t, "routes", protocoltest.Read(t).Routes(), routes)
}
