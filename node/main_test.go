package node_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Whatever a test starts, it ends: clusters, nodes and clients included.
func TestMain(m *testing.M) {
	if asked, err := childProcess(); asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
