package api

import (
	_ "embed"
	"net/http"
	"slices"
)

//go:embed openapi.json
var document []byte

// OpenAPI returns the OpenAPI 3.1 document of the endpoint, which it serves at
// /openapi.json.
func OpenAPI() []byte { return slices.Clone(document) }

func (h *handler) openAPI(*call) (*response, error) {
	return &response{status: http.StatusOK, body: document, header: http.Header{"Cache-Control": {"public, max-age=3600"}}}, nil
}
