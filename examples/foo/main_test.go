package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestPaths(t *testing.T) {
	for path, want := range map[string]int{"/": 200, "/version": 200, "/healthz": 200, "/nothing": 404} {
		answer := httptest.NewRecorder()
		handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		if answer.Code != want {
			t.Errorf("%s: %d, want %d", path, answer.Code, want)
		}
	}
}

func TestRequestUnderWayIsAnsweredAtTheEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop, end := context.WithCancel(context.Background())
	began, finish := make(chan bool), make(chan bool)
	answers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		fmt.Fprint(w, "whole")
	})
	ended := make(chan error)
	go func() { ended <- serve(stop, listener, answers) }()
	got := make(chan string)
	go func() {
		answer, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		body, _ := io.ReadAll(answer.Body)
		got <- string(body)
	}()
	<-began
	end()
	for { // until nothing listens any more
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		connection.Close()
	}
	close(finish)
	if body := <-got; body != "whole" {
		t.Errorf("%q, want it whole", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
