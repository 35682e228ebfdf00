package status_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/service/cmd/cvvd/status"
	"cvvrotation/rotation/service/telemetry"
)

// The page of an empty store.
func Example() {
	metrics, err := telemetry.New(telemetry.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	page, err := status.New(memory.New(memory.Options{}), metrics.Recent(), status.Options{Version: "v1.2.3"})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := httptest.NewRecorder()
	page.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	fmt.Println(answer.Code, strings.Contains(answer.Body.String(), "<strong>OK</strong>"))
	// Output: 200 true
}
