package config_test

import (
	"context"
	"fmt"

	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// The file is overridden by the environment; Check reports every problem.
func Example() {
	c, err := config.Parse([]byte("[engine]\nworkers = 4\nbatch = 0\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Override([]string{"CVVD_ENGINE_WORKERS=100"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Check(context.Background(), "engine"))
	// Output:
	// engine.workers: must be 1 to 64
	// engine.batch: must be 1 to 10000
}
