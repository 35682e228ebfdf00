package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cvvrotation/rotation/service/api"
	"cvvrotation/sim/must"
)

func TestBody_RefusesInvalidRequests(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	rotate, rotation, verify := "POST /v1/cards/a/cvv/rotate", "PATCH /v1/cards/a/cvv/rotation", "POST /v1/cards/a/cvv/verify"
	for _, test := range []struct{ to, body, field string }{
		{rotate, `{"service_code":201}`, "body service_code"},
		{rotate, `{"service_code":"20"}`, "body service_code"},
		{rotate, `{"service_code":"２０１"}`, "body service_code"},
		{rotate, `{"service_code":null}`, "body service_code"},
		{rotate, `{"service_code":["201"]}`, "body service_code"},
		{rotate, `{"Service_Code":"201"}`, "body Service_Code"},
		{rotate, `{"service_code":"201","service_code":"202"}`, "body service_code"},
		{rotate, `{"service_code":"201","service\u005fcode":"202"}`, "body service_code"},
		{rotate, `{"compromised":"true"}`, "body compromised"},
		{rotate, `{"compromised":1}`, "body compromised"},
		{rotate, `{"compromised":null,"x":1,"service_code":1}`, "body compromised, body x, body service_code"},
		{rotate, `{"4111111111111111":1}`, "body (a member)"},
		{rotate, `{"":1}`, "body (a member)"},
		{rotate, `{"` + strings.Repeat("x", 41) + `":1}`, "body (a member)"},
		{rotate, `[]`, ""}, {rotate, `"201"`, ""}, {rotate, `null`, ""}, {rotate, `{`, ""}, {rotate, `{}}`, ""},
		{rotate, `{} {}`, ""}, {rotate, `{"service_code"}`, ""}, {rotate, `{"service_code":"201",}`, ""}, {rotate, `{'a':1}`, ""},
		{rotate, "{\"service_code\":\"\xff01\"}", ""}, {rotate, "\xef\xbb\xbf{}", ""}, {rotate, "{\"a\":\"\x00\"}", ""}, {rotate, " ", ""},
		{rotate, strings.Repeat("[", api.MaxBody), ""}, {rotate, `{"a":` + strings.Repeat("[", api.MaxBody-5), ""},
		{rotate, `{"compromised":tru`, ""}, {rotate, `{"service_code":"201`, ""}, {rotate, `{"service_code":"\ud800"}`, ""},
		{rotation, `{}`, "body cvv_rotation_interval_hours"},
		{rotation, ``, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":0}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":-1}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":1.5}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":1e3}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":"24"}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":null}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":87601}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":5124095576030432}`, "body cvv_rotation_interval_hours"}, // 1 h after an overflow
		{rotation, `{"cvv_rotation_interval_hours":99999999999999999999}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-22T15:00:00Z"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23T15:00:00.000000001Z"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23T25:00:00Z"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":1795446000}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23T03:00:00Z","spread":true}`, "body cvv_first_rotation_date"},
		{verify, `{}`, "body cvv"}, {verify, ``, "body cvv"}, {verify, `{"cvv":123}`, "body cvv"}, {verify, `{"cvv":"12"}`, "body cvv"},
		{verify, `{"cvv":"123456"}`, "body cvv"}, {verify, `{"cvv":"12a"}`, "body cvv"}, {verify, `{"cvv":null}`, "body cvv"}, {verify, `{"cvv":""}`, "body cvv"},
		{"PUT /v1/cards/a", `{"expiry":"1127"}`, "body expiry"}, {"PUT /v1/cards/a", `{"expiry":"2027-13"}`, "body expiry"},
		{"PUT /v1/cards/a", `{"pan":"4111"}`, "body pan"}, {"PUT /v1/cards/a", `{"pan":4111111111111111}`, "body pan"},
		{"PUT /v1/cards/a", `{"spread":true}`, "body cvv_rotation_interval_hours"},
		{"POST /v1/cards/a/cvv/unlock", `{"a":1}`, "body a"},
	} {
		t.Run(fmt.Sprintf("%s %.40s", test.to, test.body), func(t *testing.T) {
			method, path, _ := strings.Cut(test.to, " ")
			a := s.do(request{method: method, path: path, body: test.body})
			want := []string{"invalid-request"}
			if test.field != "" {
				want = append(want, test.field)
			}
			a.want(t, 400, want...)
			if strings.Contains(a.raw, "4111") {
				t.Errorf("the response quotes the body: %s", a.raw)
			}
		})
	}
	for _, header := range [][]string{
		{"Content-Type", ""}, {"Content-Type", "text/json"}, {"Content-Type", "application/json; charset=latin1"},
		{"Content-Type", "application/merge-patch+json"}, {"Content-Type", "application/json, text/plain"}, {"Content-Encoding", "gzip"},
	} {
		s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: `{}`, header: header}).want(t, 415, "unsupported-content-type")
	}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: `{}`, header: []string{"Content-Type", "application/json; charset=UTF-8"}}).want(t, 200)
	for _, key := range []string{strings.Repeat("k", 256), "ключ"} {
		s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", header: []string{"Idempotency-Key", key}}).want(t, 400, "invalid-request", "header Idempotency-Key")
	}
	for _, keys := range [][]string{{"k", "k"}, {""}} {
		req, _ := http.NewRequest("POST", s.url+"/v1/cards/a/cvv/rotate", nil)
		req.Header = http.Header{"Authorization": {"Bearer " + s.token(allScopes...)}, "Idempotency-Key": keys}
		resp := must.Get(s.client.Do(req))(t)
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("idempotency keys %q: %d", keys, resp.StatusCode)
		}
	}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: strings.Repeat(" ", api.MaxBody-2) + "{}"}).want(t, 200)
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: strings.Repeat(" ", api.MaxBody-1) + "{}"}).want(t, 413, "body-too-large")
}
