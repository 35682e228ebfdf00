package telemetry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cvvrotation/rotation/service/telemetry"
)

func Example() {
	registry := prometheus.NewRegistry()
	m, err := telemetry.New(telemetry.Options{Registerer: registry})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/cards/{cardId}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	h, err := m.Handler(mux)
	if err != nil {
		panic(err)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/cards/card-7c1e", nil))

	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.HasPrefix(line, "cvv_http_requests_total") {
			fmt.Print(line) // the route, but not the card
		}
	}
	// Output: cvv_http_requests_total{route="GET /v1/cards/{cardId}",status="404"} 1
}
