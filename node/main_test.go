package node_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Whatever a test starts, it ends: clusters, nodes and clients included.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
