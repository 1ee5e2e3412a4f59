package main

import (
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
