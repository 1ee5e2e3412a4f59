// Front stands before the containers of a service and sends each request to the one that is live.
//
//	front                              serve: traffic on :8080, orders on a socket in /state
//	front lock TOKEN SECONDS OWNER     keep other deployments away for so long
//	front keep TOKEN SECONDS           hold the lock for so long from now on
//	front unlock TOKEN                 let others have their turn
//	front switch TOKEN LIVE PREVIOUS   from now on LIVE (host:port) gets what comes, and PREVIOUS is what was before; either
//	                                   may be empty
//	front status                       say as JSON what is live and what was before, how many requests each has under way,
//	                                   and who holds the lock
//	front probe URL                    ask URL; exit code 0 where it answers with 2xx or 3xx
//
// Only the holder of the lock may keep it or switch, and only where nobody holds it can it be taken: otherwise, the exit
// code is 75. Orders come through `docker exec`, so they need no port, and reach wherever the engine is.
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
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	folder   = "/state"
	tempfail = 75
)

// State is what outlives a restart: addresses, host:port.
type State struct {
	Live     string `json:"live"`
	Previous string `json:"previous"`
}

// Lock is held until a time, unless its holder asks for more.
type Lock struct {
	token string
	owner string
	since time.Time
	until time.Time
}

type front struct {
	mutex sync.Mutex
	state State
	lock  Lock
	busy  map[string]int
	known sync.Map // addresses with the container's IP in place of its name
}

func main() {
	words := append(os.Args[1:], "", "", "", "")
	switch words[0] {
	case "":
		serve()
	case "lock":
		order("/lock", url.Values{"token": {words[1]}, "seconds": {words[2]}, "owner": {words[3]}})
	case "keep":
		order("/keep", url.Values{"token": {words[1]}, "seconds": {words[2]}})
	case "unlock":
		order("/unlock", url.Values{"token": {words[1]}})
	case "switch":
		order("/switch", url.Values{"token": {words[1]}, "live": {words[2]}, "previous": {words[3]}})
	case "status":
		order("/status", nil)
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
	orders.HandleFunc("/lock", f.locked)
	orders.HandleFunc("/keep", f.locked)
	orders.HandleFunc("/unlock", f.unlocked)
	orders.HandleFunc("/switch", f.switched)
	orders.HandleFunc("/status", f.status)
	go func() { log.Fatal(http.Serve(listener, orders)) }()
	server := &http.Server{Addr: ":8080", Handler: f.forward(), ReadHeaderTimeout: 10 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-stop.Done()
	// What is under way is answered; `docker stop` waits ten seconds for that, or as long as it is told to.
	server.Shutdown(context.Background())
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
		f.busy[live]++
		f.mutex.Unlock()
		defer func() {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			if f.busy[live]--; f.busy[live] == 0 {
				delete(f.busy, live)
			}
		}()
		if live == "" {
			http.Error(w, "nothing is deployed yet", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, live)))
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

// holder is the token of whoever holds the lock, empty where nobody does. To be asked under the mutex.
func (f *front) holder() string {
	if time.Now().After(f.lock.until) {
		f.lock = Lock{}
	}
	return f.lock.token
}

func (f *front) locked(w http.ResponseWriter, r *http.Request) {
	token := r.FormValue("token")
	seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64)
	if err != nil || token == "" {
		http.Error(w, "a lock needs a token, and seconds", http.StatusBadRequest)
		return
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	now := time.Now()
	switch holder := f.holder(); {
	case r.URL.Path == "/lock" && holder == "":
		f.lock = Lock{token: token, owner: r.FormValue("owner"), since: now}
	case r.URL.Path == "/lock" || holder != token:
		http.Error(w, "the lock is not yours", http.StatusConflict)
		return
	}
	f.lock.until = now.Add(time.Duration(seconds * float64(time.Second)))
}

func (f *front) unlocked(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.holder() == r.FormValue("token") {
		f.lock = Lock{}
	}
}

func (f *front) switched(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if token := r.FormValue("token"); token == "" || f.holder() != token {
		http.Error(w, "the lock is not yours", http.StatusConflict)
		return
	}
	next := State{Live: r.FormValue("live"), Previous: r.FormValue("previous")}
	f.known.Delete(next.Live)
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

func (f *front) status(w http.ResponseWriter, _ *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	type lock struct {
		Owner string `json:"owner"`
		For   int    `json:"held_for"` // seconds
		Ends  int    `json:"ends_in"`  // seconds, unless its holder asks for more
	}
	said := struct {
		State
		Busy map[string]int `json:"busy"`
		Lock *lock          `json:"lock"`
	}{State: f.state, Busy: f.busy}
	if f.holder() != "" {
		said.Lock = &lock{f.lock.owner, int(time.Since(f.lock.since).Seconds()), int(time.Until(f.lock.until).Seconds()) + 1}
	}
	json.NewEncoder(w).Encode(said)
}

// order is carried out by the front that serves in this container.
func order(path string, values url.Values) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(folder, "orders"))
		},
	}}
	answer, err := client.PostForm("http://front"+path, values)
	if err != nil {
		log.Fatal(err)
	}
	io.Copy(os.Stdout, answer.Body)
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusConflict:
		os.Exit(tempfail)
	default:
		os.Exit(1)
	}
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
