// Command outside is a service of another module with older versions of the
// libraries that cvvrotation's daemon uses. The tests of package rotation add
// cvvrotation to it and check that these versions do not move.
package main

import (
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc"
)

func main() {
	fmt.Println(jwt.SigningMethodES256.Alg(), pgx.TextFormatCode, nats.Version, prometheus.DefBuckets[0], otel.Version(), grpc.Version)
}
