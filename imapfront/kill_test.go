package imapfront_test

import (
	"flag"
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront/transcript"
	"github.com/quorumail/quorumail/node/nodetest"
)

var killLines = flag.Int("kill-lines", 1, "at how many lines of each transcript TestTranscriptsWithLeaderKilled kills the leader, each time anew; 0: at all")

// together is how many transcripts go through one kill. Each has an account of
// its own, so that they know nothing of each other.
const together = 40

// killed is a transcript that is to be run, with the leader killed before one of
// its steps.
type killed struct {
	name string
	s    *transcript.Script
	step int
}

// killedAt returns at which lines the leader is killed: of each transcript as
// many as the flag says, spread over it from one that depends on its name.
func killedAt(all map[string]*transcript.Script, lines int) []killed {
	var runs []killed
	for _, name := range names(all) {
		s := all[name]
		n := len(s.Steps)
		count := n
		if lines > 0 {
			count = min(lines, n)
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(name)) // a hash takes everything
		first := int(h.Sum32() % uint32(n))
		for i := range count {
			runs = append(runs, killed{name, s, (first + i*n/count) % n})
		}
	}
	return runs
}

// Every transcript on three replicas whose leader is killed between two of its
// lines: the connections stay, and nothing that the client is told differs. Many
// are brought to their lines, then the leader is killed, then they go on.
func TestTranscriptsWithLeaderKilled(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 3, Shards: 1})
	c.CreateAccount(t, admin, "secret")
	addr, _ := front(t, c, nil)
	runs := killedAt(scripts(t), *killLines)
	for n := 0; n < len(runs); n += together {
		k := kill{cluster: c, dial: func() (net.Conn, error) { return net.Dial("tcp", addr) }, round: n}
		k.run(t, runs[n:min(n+together, len(runs))])
	}
	c.HashesEqual(t)
}

// kill is one kill of the leader, in the middle of many transcripts.
type kill struct {
	cluster *nodetest.Cluster
	dial    func() (net.Conn, error)
	round   int

	ready, over sync.WaitGroup
	dead        chan struct{} // closed when the leader is
}

func (k *kill) run(t *testing.T, runs []killed) {
	k.dead = make(chan struct{})
	for i, r := range runs {
		user := fmt.Sprintf("user%d@example.org", k.round+i)
		k.ready.Add(1)
		k.over.Go(func() {
			arrive := sync.OnceFunc(k.ready.Done)
			defer arrive() // also if it does not come so far
			t.Run(fmt.Sprintf("%s/line%d", r.name, r.s.Steps[r.step].Line), func(t *testing.T) {
				k.cluster.CreateAccount(t, user, "secret")
				transcript.Run(t, r.s, transcript.Server{
					User: user, Password: "secret", Another: another(t, k.cluster, user), Timeout: 30 * time.Second, Dial: k.dial,
					Between: func(step int) {
						if step == r.step {
							arrive()
							<-k.dead
						}
					},
				})
			})
		})
	}
	k.ready.Wait()
	leader := k.cluster.KillLeader(t, fmt.Sprintf("user%d@example.org", k.round))
	close(k.dead)
	k.over.Wait()
	k.cluster.Restart(t, leader)
}
