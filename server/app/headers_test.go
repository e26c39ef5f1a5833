package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sohbet/models/storetest"
)

// TestHeadersOnEveryRoute checks the responses of all routes, with and without an agent's session, over HTTP and HTTPS.
func TestHeadersOnEveryRoute(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada", "first")
	s := open(t, store, "TRUSTED_PROXIES", "127.0.0.1")
	agent := s.agent(t)
	paths := []string{"GET /nothing", "POST /nothing", "GET /socket.io/?EIO=4&transport=polling", "GET /socket.io/?EIO=3", "OPTIONS /socket.io/",
		"POST /socket.io/?EIO=4&transport=polling&sid=x", "GET /api/nothing", "GET /static/" + strings.Repeat("x", 300)}
	for _, route := range s.server.Routes() {
		if strings.HasSuffix(route, " /logout") {
			continue // tested below, because it ends the agent's session
		}
		route = strings.NewReplacer(":thread_id", threadA, ":folder", "image", ":name", "x.png", " /static/*", " "+staticFile(t, s)).Replace(route)
		paths = append(paths, route)
	}
	paths = append(paths, "GET /logout")
	for _, route := range paths {
		method, path, _ := strings.Cut(route, " ")
		for _, proto := range []string{"http", "https"} {
			for _, signedIn := range []bool{false, true} {
				c := s.browser(t)
				if signedIn {
					c = agent
				}
				h := s.do(t, c, method, path, "", "X-Forwarded-Proto", proto).header
				for name, want := range map[string]string{
					"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
				} {
					if got := h.Get(name); got != want {
						t.Errorf("%s: %s is %q, want %q", route, name, got, want)
					}
				}
				if p := h.Get("Permissions-Policy"); !strings.Contains(p, "camera=()") || !strings.Contains(p, "geolocation=()") {
					t.Errorf("%s: Permissions-Policy %q", route, p)
				}
				policy, corp := h.Get("Content-Security-Policy"), h.Get("Cross-Origin-Resource-Policy")
				if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
					t.Errorf("%s: policy %q", route, policy)
				}
				// Pages of other sites may only load scripts, styles and images, never responses with data.
				loadable := strings.HasPrefix(path, "/static/") || strings.HasPrefix(path, "/socket.io/socket.io") || strings.HasPrefix(path, "/uploads/") || path == "/widget.js"
				if corp != "same-origin" && (corp != "cross-origin" || !loadable) {
					t.Errorf("%s: Cross-Origin-Resource-Policy %q", route, corp)
				}
				if hsts := h.Get("Strict-Transport-Security"); (hsts == "max-age=31536000") != (proto == "https") {
					t.Errorf("%s over %s: Strict-Transport-Security %q", route, proto, hsts)
				}
				if strings.HasPrefix(path, "/api/") && h.Get("Cache-Control") != "no-store" && method != "OPTIONS" {
					t.Errorf("%s: Cache-Control %q", route, h.Get("Cache-Control"))
				}
			}
		}
	}
}

// TestPolicyOfPages checks the directives of the pages' policies.
func TestPolicyOfPages(t *testing.T) {
	for origins, embedders := range map[string]string{"": "frame-ancestors 'self'", "https://shop.example,https://other.example": "frame-ancestors 'self' https://shop.example https://other.example"} {
		s := open(t, storetest.Open(t, "sqlite"), "CORS_ORIGINS", origins)
		c := s.agent(t)
		for path, ancestors := range map[string]string{"/": embedders, "/widget": embedders, "/offline": "frame-ancestors 'none'", "/login": "frame-ancestors 'none'", "/admin": "frame-ancestors 'none'", "/nothing": "frame-ancestors 'none'"} {
			r := s.do(t, c, "GET", path, "", "Accept", "text/html")
			policy := r.header.Get("Content-Security-Policy")
			types := "trusted-types 'none'"
			if path == "/" || path == "/admin" {
				types = "trusted-types sohbet-worker" // for registering /sw.js
			}
			for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'self'", "object-src 'none'",
				"require-trusted-types-for 'script'", types, ancestors} {
				if !containsPart(policy, want) {
					t.Errorf("%s: %q is not in %q", path, want, policy)
				}
			}
			if framable := r.header.Get("X-Frame-Options") == ""; framable != (ancestors == embedders) {
				t.Errorf("%s: X-Frame-Options %q", path, r.header.Get("X-Frame-Options"))
			}
		}
	}
}

func containsPart(policy, want string) bool {
	for part := range strings.SplitSeq(policy, ";") {
		if strings.TrimSpace(part) == want {
			return true
		}
	}
	return false
}

// TestScriptsParseNoMarkup checks that the pages' scripts use none of the functions that turn a string into markup or code. Trusted
// Types in browsers are the second line of defence.
func TestScriptsParseNoMarkup(t *testing.T) {
	banned := regexp.MustCompile(`\b(innerHTML|outerHTML|insertAdjacentHTML|srcdoc|createContextualFragment|DOMParser|parseFromString|setHTMLUnsafe|parseHTMLUnsafe)\b|document\.write|\beval\s*\(|new\s+Function\b|(setTimeout|setInterval)\s*\(\s*['"` + "`" + `]|javascript:|\.setAttribute\(\s*['"]on|\bimport\s*\(`)
	// Dynamically imported modules, and those of types in comments, are named literally in the source.
	later := regexp.MustCompile(`\bimport\('(\.{1,2}/[\w/.-]+\.js|socket\.io-client)'\)`)
	if !banned.MatchString("node.innerHTML = text") || !banned.MatchString("setTimeout('x()')") || banned.MatchString("setTimeout(() => x())") {
		t.Fatal("this test looks for nothing")
	}
	files := 0
	err := filepath.WalkDir("../../assets/static/js", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".js") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for n, line := range strings.Split(string(text), "\n") {
			if found := banned.FindString(later.ReplaceAllString(line, "")); found != "" {
				t.Errorf("%s:%d: %s", path, n+1, found)
			}
		}
		return err
	})
	if err != nil || files < 10 {
		t.Errorf("%d scripts, %v", files, err)
	}
}
