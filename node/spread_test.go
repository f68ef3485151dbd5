package node_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/nodetest"
)

// leaderships returns how many groups each node leads, the directory's counted.
func leaderships(c *nodetest.Cluster, nodes ...string) (counts []int, sum int) {
	for _, name := range nodes {
		n := 0
		for _, r := range c.Node(name).Status() {
			if r.GetRole() == "leader" {
				n++
			}
		}
		counts = append(counts, n)
		sum += n
	}
	return counts, sum
}

// A node that was away leads nothing when it is back; the others give it its share, and
// no client is refused anything by that.
func TestLeadershipsAreSpreadAgain(t *testing.T) {
	const shards = 8 // and the directory: three for each node
	c := nodetest.Start(t, nodetest.Options{Shards: shards, Adjust: func(cfg *node.Config) { cfg.Balance = 20 * time.Millisecond }})
	names := []string{"n1", "n2", "n3"}
	var users []*user
	for i := range 6 {
		name := fmt.Sprintf("u%d", i)
		c.CreateAccount(t, name, "secret")
		users = append(users, login(t, c.Client(t), name))
	}
	c.Kill(t, "n3")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, sum := leaderships(c, "n1", "n2"); sum == shards+1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the others do not lead all")
		}
	}
	c.Restart(t, "n3")
	stop := make(chan struct{})
	sent := make([]int, len(users))
	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() {
			for ; ; sent[i]++ {
				select {
				case <-stop:
					return
				default:
					u.append(fmt.Sprint(sent[i]))
				}
			}
		})
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		counts, sum := leaderships(c, names...)
		if sum == shards+1 && counts[0] == 3 && counts[1] == 3 && counts[2] == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("leaderships: %v", counts)
			break
		}
	}
	close(stop)
	wg.Wait()
	for i, u := range users {
		if _, uids := u.open(); uids.Len() != uint64(sent[i]) {
			t.Errorf("user %d: %d messages, want %d", i, uids.Len(), sent[i])
		}
	}
	c.HashesEqual(t)
}
