package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
	"github.com/quorumail/quorumail/bench/witness"
)

// Options say how much a KillTest does.
type Options struct {
	// Bin is the quorumail binary; see Build.
	Bin string
	// Dir is where data and logs go.
	Dir string
	// Kills is how many times the leader is killed with SIGKILL.
	Kills int
	// Stops is how many times the leader is stopped with SIGSTOP, deposed by the
	// others, and let go on: it must not answer with what it believes.
	Stops int
	// Blackouts is how many times all nodes are killed at once.
	Blackouts int
	// Seed makes the choices.
	Seed uint64
	// Out is where it is told what happens.
	Out io.Writer
}

const (
	user     = "witness@example.org"
	password = "look and tell"
	mailbox  = "INBOX"

	// roundTime bounds one fault with all that is checked after it.
	roundTime = 3 * time.Minute
	// answerTime is how long clients may have to wait for their answers.
	answerTime = 45 * time.Second
	// idleTime is how long the news may take to reach a client that idles.
	idleTime = 15 * time.Second
	// keepMessages is about how many the mailbox holds.
	keepMessages = 120
)

// killTest is one run of KillTest.
type killTest struct {
	o       Options
	rng     *rand.Rand
	cluster *Cluster
	crew    *witness.Crew
	idlers  []*witness.Idler
	caches  []*check.Mailbox // what clients had kept, each at some time
	imap    [2]string        // addresses of the frontends
}

// KillTest runs the scenario of the package comment. The error tells all that was
// found.
func KillTest(ctx context.Context, o Options) (err error) {
	t := &killTest{o: o, rng: rand.New(rand.NewPCG(o.Seed, 0))}
	if t.cluster, err = StartCluster(ctx, o.Bin, o.Dir, 3, 2); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.cluster.Close()) }()
	if err := t.cluster.AddUser(ctx, user, password); err != nil {
		return err
	}
	if err := t.recruit(); err != nil {
		return err
	}
	err = t.rounds(ctx)
	err = errors.Join(err, t.crew.Stop())
	if err != nil {
		return err
	}
	return t.finish(ctx)
}

// recruit puts clients to work, most through the first frontend.
func (t *killTest) recruit() (err error) {
	for i := range t.imap {
		if t.imap[i], err = t.cluster.IMAP(i + 1); err != nil {
			return err
		}
	}
	t.crew = witness.New(witness.Config{
		User: user, Password: password, Mailbox: mailbox,
		Seed: t.o.Seed, Keep: keepMessages, Timeout: answerTime,
	})
	t.crew.AddAppender(t.imap[0])
	t.crew.AddAppender(t.imap[0])
	t.crew.AddAppender(t.imap[1])
	t.crew.AddFlagger(t.imap[0])
	t.crew.AddFlagger(t.imap[1])
	t.crew.AddExpunger(t.imap[0])
	t.crew.AddObserver(t.imap[0])
	t.crew.AddObserver(t.imap[1])
	t.idlers = []*witness.Idler{t.crew.AddIdler(t.imap[0]), t.crew.AddIdler(t.imap[1])}
	return t.crew.Start()
}

func (t *killTest) rounds(ctx context.Context) error {
	for _, kind := range []struct {
		name string
		n    int
		do   func(context.Context) (string, func(context.Context) error, error)
	}{
		{"kill", t.o.Kills, t.killLeader},
		{"stop", t.o.Stops, t.stopLeader},
		{"blackout", t.o.Blackouts, t.blackout},
	} {
		for i := range kind.n {
			if err := t.round(ctx, fmt.Sprintf("%s %d/%d", kind.name, i+1, kind.n), kind.do); err != nil {
				return fmt.Errorf("%s %d: %w", kind.name, i+1, err)
			}
		}
	}
	return nil
}

// round is one fault: let clients work, strike, wait for their answers, compare,
// mend.
func (t *killTest) round(ctx context.Context, name string, strike func(context.Context) (string, func(context.Context) error, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, roundTime, fmt.Errorf("round took longer than %v", roundTime))
	defer cancel()
	if err := t.remember(); err != nil {
		return err
	}
	done := t.crew.Done()
	if err := Pause(ctx, time.Duration(300+t.rng.IntN(900))*time.Millisecond); err != nil {
		return err
	}
	worked := t.crew.Done() - done
	from := t.crew.Now()
	what, mend, err := strike(ctx)
	if err != nil {
		return err
	}
	answering, cancelAnswers := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("%s, and %v later not all clients are answered", what, answerTime))
	defer cancelAnswers()
	if err := t.crew.AllAnswered(answering, t.crew.Now()); err != nil {
		return err
	}
	away := t.crew.Now() - from
	compared, err := t.compare(ctx)
	if err != nil {
		return fmt.Errorf("after %s: %w", what, err)
	}
	if err := mend(ctx); err != nil {
		return err
	}
	acked, open := t.crew.History().Counts()
	fmt.Fprintf(t.o.Out, "%s: %d commands, then %s; all clients answered after %d ms; %s; in all %d acknowledged, %d open\n",
		name, worked, what, away.Milliseconds(), compared, acked, open)
	return nil
}

// killLeader kills the node that leads the account's shard. It is started again at
// the end of the round.
func (t *killTest) killLeader(ctx context.Context) (string, func(context.Context) error, error) {
	id, err := t.cluster.Leader(ctx, user)
	if err != nil {
		return "", nil, err
	}
	t.cluster.Node(id).Kill()
	return "SIGKILL of leader " + id, func(ctx context.Context) error { return t.cluster.StartNode(ctx, id) }, nil
}

// stopLeader holds the leader still until the others have answered, then lets it
// go on.
func (t *killTest) stopLeader(ctx context.Context) (string, func(context.Context) error, error) {
	id, err := t.cluster.Leader(ctx, user)
	if err != nil {
		return "", nil, err
	}
	p := t.cluster.Node(id)
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return "", nil, err
	}
	from := t.crew.Now()
	what := "SIGSTOP of leader " + id
	answering, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("%s, and %v later not all clients are answered", what, answerTime))
	defer cancel()
	err = t.crew.AllAnswered(answering, from)
	if cont := p.Signal(syscall.SIGCONT); err == nil {
		err = cont
	}
	return what + ", SIGCONT", func(context.Context) error { return nil }, err
}

// blackout kills all nodes and starts them again.
func (t *killTest) blackout(ctx context.Context) (string, func(context.Context) error, error) {
	for _, id := range t.cluster.Nodes() {
		if err := t.cluster.Node(id).Signal(syscall.SIGKILL); err != nil {
			return "", nil, err
		}
	}
	for _, id := range t.cluster.Nodes() {
		t.cluster.Node(id).Kill()
		if err := t.cluster.StartNode(ctx, id); err != nil {
			return "", nil, err
		}
	}
	return "SIGKILL of all nodes", func(context.Context) error { return nil }, nil
}

// remember keeps the mailbox as a client of the first frontend has it now.
func (t *killTest) remember() error {
	defer t.crew.Pause()()
	c, err := t.crew.Dial(t.imap[0])
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := witness.Whole(c, mailbox)
	if err != nil {
		return err
	}
	t.caches = append(t.caches, m)
	return nil
}

// compare judges everything while nobody writes: resynchronisations on the second
// frontend, of the newest cache and of older ones; what those who idle believe;
// the history.
func (t *killTest) compare(ctx context.Context) (string, error) {
	defer t.crew.Pause()()
	newest := len(t.caches) - 1
	var last *check.Resync
	for i, n := range []int{newest, t.rng.IntN(len(t.caches)), t.rng.IntN(len(t.caches))} {
		r, err := t.resync(t.caches[n], i == 1)
		if err != nil {
			return "", err
		}
		if err := judge(r.Check()); err != nil {
			return "", fmt.Errorf("cache %d of %d: %w", n+1, len(t.caches), err)
		}
		if n == newest {
			last = r
		}
	}
	if err := t.idlersAgree(ctx, last.Fresh); err != nil {
		return "", err
	}
	if err := judge(t.crew.History().Check(last.Fresh)); err != nil {
		return "", err
	}
	return fmt.Sprintf("resynchronised %d changed and %d vanished ranges of %d messages", len(last.Changed), len(last.Vanished), last.Exists), nil
}

// resync resynchronises a cache on the second frontend and looks at the mailbox
// there afresh.
func (t *killTest) resync(cached *check.Mailbox, known bool) (*check.Resync, error) {
	conns := make([]*traffic.Conn, 2)
	for i := range conns {
		c, err := t.crew.Dial(t.imap[1])
		if err != nil {
			return nil, err
		}
		defer c.Close()
		conns[i] = c
	}
	return witness.Resync(conns[0], conns[1], mailbox, cached, known)
}

// idlersAgree waits until those who idle believe what is true.
func (t *killTest) idlersAgree(ctx context.Context, fresh *check.Mailbox) error {
	deadline := time.Now().Add(idleTime)
	for _, i := range t.idlers {
		for {
			err := judge(i.Differs(fresh))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("after %v: %w", idleTime, err)
			}
			if err := Pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish compares the replicas, and sees that the processes that were never
// killed are still there.
func (t *killTest) finish(ctx context.Context) error {
	for n := 1; n <= 2; n++ {
		if !t.cluster.Front(n).Alive() {
			return fmt.Errorf("frontend %d has ended", n)
		}
	}
	if err := t.cluster.Verify(ctx); err != nil {
		return err
	}
	fmt.Fprintln(t.o.Out, "the replicas of each shard are equal")
	return nil
}

// judge makes violations an error, nil if there are none.
func judge(bad []check.Violation) error {
	if len(bad) == 0 {
		return nil
	}
	const most = 20
	errs := make([]error, 0, most+1)
	for _, v := range bad[:min(len(bad), most)] {
		errs = append(errs, errors.New(string(v)))
	}
	if len(bad) > most {
		errs = append(errs, fmt.Errorf("and %d more", len(bad)-most))
	}
	return errors.Join(errs...)
}
