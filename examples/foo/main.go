// Foo is a small HTTP server: / greets, /version says what it was built from, /healthz says that it works.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Linked in with -ldflags -X.
var (
	version = "unknown"
	commit  = "unknown"
)

func main() {
	listen := flag.String("listen", ":8080", "address to listen on")
	check := flag.Bool("healthcheck", false, "ask a server that runs here whether it works, and exit")
	flag.Parse()
	if *check {
		os.Exit(healthcheck(*listen))
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	log.Printf("foo %s (%s) listens on %s", version, commit, *listen)
	if err := serve(stop, listener, handler()); err != nil {
		log.Fatal(err)
	}
}

// serve answers until stop is done, and what is under way then for nine seconds more: `docker stop` kills after ten.
func serve(stop context.Context, listener net.Listener, answers http.Handler) error {
	server := &http.Server{Handler: answers, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	grace, done := context.WithTimeout(context.Background(), 9*time.Second)
	defer done()
	return server.Shutdown(grace)
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Hello from foo.")
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"version\": %q, \"commit\": %q}\n", version, commit)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// healthcheck is for HEALTHCHECK: the image holds no shell and no curl. It speaks HTTP by hand, because an HTTP client
// would make the binary larger by a megabyte.
func healthcheck(listen string) int {
	connection, err := net.DialTimeout("tcp", listen, 2*time.Second)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(2 * time.Second))
	fmt.Fprint(connection, "GET /healthz HTTP/1.0\r\n\r\n")
	var protocol string
	var status int
	if _, err := fmt.Fscan(connection, &protocol, &status); err != nil || status != http.StatusOK {
		fmt.Fprintln(os.Stderr, protocol, status, err)
		return 1
	}
	return 0
}
