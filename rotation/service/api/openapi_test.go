package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"

	"cvvrotation/rotation/service/api"
	"cvvrotation/sim/must"
)

// openapi returns the document and a validator for it.
var openapi = sync.OnceValue(func() (d struct {
	validator validator.Validator
	paths     map[string]map[string]map[string]any // path, method
	raw       map[string]any
}) {
	doc, err := libopenapi.NewDocument(api.OpenAPI())
	if err != nil {
		panic(err)
	}
	var errs []error
	d.validator, errs = validator.NewValidator(doc, config.WithFormatAssertions(), config.WithoutSecurityValidation())
	if len(errs) > 0 {
		panic(errs)
	}
	if err := json.Unmarshal(api.OpenAPI(), &d.raw); err != nil {
		panic(err)
	}
	d.paths = make(map[string]map[string]map[string]any)
	for path, item := range d.raw["paths"].(map[string]any) {
		d.paths[path] = make(map[string]map[string]any)
		for method, op := range item.(map[string]any) {
			if m, ok := op.(map[string]any); ok {
				d.paths[path][strings.ToUpper(method)] = m
			}
		}
	}
	return d
})

var validatorLock sync.Mutex

// follow resolves a reference in the document.
func follow(v any) map[string]any {
	m := v.(map[string]any)
	to, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = openapi().raw
	for part := range strings.SplitSeq(strings.TrimPrefix(to, "#/"), "/") {
		at = at.(map[string]any)[part]
	}
	return at.(map[string]any)
}

// pathOf returns the document's path for the path of a request.
func pathOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 3 && parts[1] == "v1" && parts[2] == "cards" {
		parts[3] = "{cardId}"
	}
	return strings.Join(parts, "/")
}

// judge validates a response, and the request if it succeeded, against the document.
func (s *site) judge(req *http.Request, body string, a reply) {
	s.t.Helper()
	describe := func() string { return fmt.Sprintf("%s %s: %d %s", req.Method, pathOf(req.URL.Path), a.status, a.raw) }
	if a.header.Get("X-Request-Id") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Cache-Control") == "" {
		s.t.Errorf("headers are missing: %v", a.header)
	}
	if a.status >= 400 && req.Method != "HEAD" {
		if a.header.Get("Content-Type") != "application/problem+json" || a.number("status") != a.status {
			s.t.Errorf("not a problem, or its status differs: %s", describe())
		}
		// The header repeats the client's id, if it is safe; the problem has the service's.
		id, client := a.text("request_id"), req.Header.Get("X-Request-Id")
		if header := a.header.Get("X-Request-Id"); len(id) != 26 || id == client || header != id && header != client {
			s.t.Errorf("request id %q with the header %q: %s", id, header, describe())
		}
	}
	if s.statuses != nil {
		s.statuses(req.Method, pathOf(req.URL.Path), a.status)
	}
	op, ok := openapi().paths[pathOf(req.URL.Path)][req.Method]
	if !ok {
		if a.status < 400 && req.Method != "HEAD" {
			s.t.Errorf("operation not in the document: %s", describe())
		}
		return
	}
	if a.text("type") == "urn:cvvrotation:problem:no-such-resource" {
		return
	}
	response, ok := op["responses"].(map[string]any)[fmt.Sprint(a.status)]
	if !ok {
		s.t.Errorf("status not in the document: %s", describe())
		return
	}
	if headers, ok := follow(response)["headers"].(map[string]any); ok {
		for name, header := range headers {
			if follow(header)["required"] == true && a.header.Get(name) == "" {
				s.t.Errorf("missing header %s: %s", name, describe())
			}
		}
	}
	validatorLock.Lock()
	defer validatorLock.Unlock()
	resp := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.raw)), Request: req}
	if ok, errs := openapi().validator.ValidateHttpResponse(req, resp); !ok {
		for _, e := range errs {
			s.t.Errorf("the response does not match the document: %s: %s %v", describe(), e.Message, e.SchemaValidationErrors)
		}
	}
	if a.status < 300 {
		again := req.Clone(req.Context())
		again.Body = io.NopCloser(strings.NewReader(body))
		if ok, errs := openapi().validator.ValidateHttpRequestSync(again); !ok {
			for _, e := range errs {
				s.t.Errorf("accepted, but the request does not match the document: %s %s: %s %s", req.Method, req.URL.Path, e.Message, e.Reason)
			}
		}
	}
}

func TestOpenAPI_IsAValidDocument(t *testing.T) {
	if ok, errs := openapi().validator.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Error(e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
	var indented bytes.Buffer
	must.Do(t, json.Indent(&indented, bytes.TrimSpace(api.OpenAPI()), "", "  "))
	if indented.String()+"\n" != string(api.OpenAPI()) {
		t.Error("openapi.json is not indented by two spaces")
	}
}

func TestOpenAPI_ExamplesMatchTheirSchemas(t *testing.T) {
	n := 0
	for path, methods := range openapi().paths {
		for method, op := range methods {
			url := "http://example.com" + strings.Replace(path, "{cardId}", "card-7c1e", 1)
			if body, ok := op["requestBody"].(map[string]any); ok {
				for name, value := range examples(body) {
					req, _ := http.NewRequest(method, url, bytes.NewReader(value))
					req.Header.Set("Content-Type", "application/json")
					if ok, errs := openapi().validator.ValidateHttpRequestSync(req); !ok {
						t.Errorf("%s %s: request %s: %v", method, path, name, errs[0])
					}
					n++
				}
			}
			for status, response := range op["responses"].(map[string]any) {
				response := follow(response)
				for name, value := range examples(response) {
					req, _ := http.NewRequest(method, url, nil)
					var code int
					fmt.Sscan(status, &code)
					resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(value)), Request: req}
					resp.Header.Set("Content-Type", slices.Collect(maps.Keys(response["content"].(map[string]any)))[0])
					resp.Header.Set("X-Request-Id", "x")
					resp.Header.Set("Cache-Control", "no-store")
					resp.Header.Set("Retry-After", "1")
					if ok, errs := openapi().validator.ValidateHttpResponse(req, resp); !ok {
						t.Errorf("%s %s: response %s %s: %v %v", method, path, status, name, errs[0], errs[0].SchemaValidationErrors)
					}
					n++
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d examples found", n)
	}
}

// examples returns the examples of a request body or a response.
func examples(of map[string]any) map[string][]byte {
	list := make(map[string][]byte)
	content, _ := of["content"].(map[string]any)
	for _, media := range content {
		for name, example := range or(media.(map[string]any)["examples"]) {
			list[name], _ = json.Marshal(example.(map[string]any)["value"])
		}
	}
	return list
}

func or(v any) map[string]any { m, _ := v.(map[string]any); return m }
