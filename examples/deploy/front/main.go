// Front stands before the containers of a service and sends each request to the one that is live.
//
//	front                        serve: traffic on :8080, orders on a socket in /state
//	front switch NAME ADDRESS    from now on, NAME at ADDRESS (host:port) is live
//	front status                 say as JSON what is live, what was before it, and how many requests each has under way, and
//	                             who holds the lock
//	front probe URL              ask URL; exit code 0 where it answers with 2xx or 3xx
//	front hold TOKEN             hold the lock until standard input ends; exit code 75 where another one holds it
//
// Orders come through `docker exec`, so they need no port, and reach wherever the engine is.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	folder   = "/state"
	tempfail = 75
)

// A Place is a container that can answer.
type Place struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// State is what outlives a restart.
type State struct {
	Live     Place `json:"live"`
	Previous Place `json:"previous"`
}

type front struct {
	mutex sync.Mutex
	state State
	busy  map[string]int
	known sync.Map // addresses with the container's IP in place of its name
	lock  string   // the token of whoever holds it
}

func main() {
	words := append(os.Args[1:], "", "", "")
	switch words[0] {
	case "":
		serve()
	case "switch":
		order(http.MethodPost, "/switch?"+url.Values{"name": {words[1]}, "address": {words[2]}}.Encode())
	case "status":
		order(http.MethodGet, "/status")
	case "hold":
		hold(words[1])
	case "probe":
		probe(words[1])
	default:
		log.Fatalf("no such order: %s", words[0])
	}
}

func serve() {
	f := &front{busy: map[string]int{}}
	if data, err := os.ReadFile(filepath.Join(folder, "state.json")); err == nil {
		if err := json.Unmarshal(data, &f.state); err != nil {
			log.Fatal(err)
		}
	}
	socket := filepath.Join(folder, "orders")
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	orders := http.NewServeMux()
	orders.HandleFunc("POST /switch", f.take)
	orders.HandleFunc("GET /status", f.tell)
	orders.HandleFunc("GET /hold", f.hold)
	go func() { log.Fatal(http.Serve(listener, orders)) }()
	server := &http.Server{Addr: ":8080", Handler: f.forward(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// forward sends a request to what is live when it comes, and counts it there until it has been answered. Both happen
// under one lock: after a switch, no request can begin with what was live before.
func (f *front) forward() http.Handler {
	type key struct{}
	proxy := &httputil.ReverseProxy{
		// A kept connection may be closed by the other side just when a request is sent on it. A new one is not.
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: f.dial},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Context().Value(key{}).(string)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mutex.Lock()
		live := f.state.Live
		f.busy[live.Name]++
		f.mutex.Unlock()
		defer func() {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			if f.busy[live.Name]--; f.busy[live.Name] == 0 {
				delete(f.busy, live.Name)
			}
		}()
		if live.Address == "" {
			http.Error(w, "nothing is deployed yet", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, live.Address)))
	})
}

// dial asks for a container's IP once, and again when it does not answer there: after a restart it may have another.
func (f *front) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if known, ok := f.known.Load(address); ok {
		if connection, err := dialer.DialContext(ctx, network, known.(string)); err == nil {
			return connection, nil
		}
	}
	connection, err := dialer.DialContext(ctx, network, address)
	if err == nil {
		f.known.Store(address, connection.RemoteAddr().String())
	}
	return connection, err
}

func (f *front) take(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.known.Delete(r.FormValue("address"))
	next := State{Live: Place{r.FormValue("name"), r.FormValue("address")}, Previous: f.state.Live}
	if next.Live.Name == f.state.Live.Name {
		next.Previous = f.state.Previous
	}
	data, _ := json.Marshal(next)
	file := filepath.Join(folder, "state.json")
	err := os.WriteFile(file+".new", data, 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f.state = next
}

func (f *front) tell(w http.ResponseWriter, _ *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	json.NewEncoder(w).Encode(struct {
		State
		Busy map[string]int `json:"busy"`
		Lock string         `json:"lock"`
	}{f.state, f.busy, f.lock})
}

func (f *front) hold(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	free := f.lock == ""
	if free {
		f.lock = r.FormValue("token")
	}
	f.mutex.Unlock()
	if !free {
		http.Error(w, "another one holds the lock", http.StatusConflict)
		return
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.lock = ""
}

// ask sends an order to the front that serves in this container.
func ask(method, path string) *http.Response {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(folder, "orders"))
		},
	}}
	request, err := http.NewRequest(method, "http://front"+path, nil)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

func order(method, path string) {
	answer := ask(method, path)
	io.Copy(os.Stdout, answer.Body)
	if answer.StatusCode != http.StatusOK {
		os.Exit(1)
	}
}

// hold ends with its standard input, which the engine closes when whoever deploys is gone, however that ended.
func hold(token string) {
	answer := ask(http.MethodGet, "/hold?"+url.Values{"token": {token}}.Encode())
	if answer.StatusCode != http.StatusOK {
		os.Exit(tempfail)
	}
	io.Copy(io.Discard, os.Stdin)
}

func probe(address string) {
	answer, err := (&http.Client{Timeout: 3 * time.Second}).Get(address)
	if err != nil {
		log.Fatal(err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		log.Fatal(answer.Status)
	}
}
