package fault

import (
	"context"
)

// StartFront starts one more frontend, with flags of its own, and waits until it
// is ready. The cluster's Close stops it.
func (c *Cluster) StartFront(ctx context.Context, name string, flags ...string) (*Process, error) {
	p, err := start(c.dir, name, c.bin, append([]string{"front", "--nodes", c.nodeList()}, flags...)...)
	if err != nil {
		return nil, err
	}
	c.fronts = append(c.fronts, p)
	return p, p.WaitReady(ctx)
}
