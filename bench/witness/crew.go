package witness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
)

// Config says where a crew works.
type Config struct {
	// User and Password of the account.
	User, Password string
	// Mailbox that all work in; it exists.
	Mailbox string
	// Seed makes the workers' choices.
	Seed uint64
	// Keep is about how many messages the mailbox is kept at: the expunger takes
	// those above.
	Keep int
	// Timeout of each command: how long storage may be away.
	Timeout time.Duration
}

// Crew is workers on one mailbox. Add the workers, then Start.
type Crew struct {
	cfg     Config
	start   time.Time
	history *check.History
	pool    *pool
	workers []*worker
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	// gate is held for reading during each command, for writing to pause.
	gate sync.RWMutex

	mu struct {
		sync.Mutex
		err     error         // of the first worker that failed
		changed chan struct{} // closed when a worker has done something, or failed
	}
}

// worker is one connection and what it does with it.
type worker struct {
	crew *Crew
	name string
	addr string
	rng  *rand.Rand
	task task
	// reads: the worker writes nothing, and is not halted by Pause.
	reads bool

	// lastStart is when the last command that was answered had begun; guarded by
	// crew.mu.
	lastStart time.Duration
	done      int // guarded by crew.mu
}

// task is what a worker does. begin is called once with the connection, step
// again and again.
type task interface {
	begin(w *worker, c *traffic.Conn) error
	step(w *worker, c *traffic.Conn) error
}

// New returns a crew without workers. Its clock starts now.
func New(cfg Config) *Crew {
	c := &Crew{cfg: cfg, start: time.Now(), history: new(check.History), pool: newPool()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.changed = make(chan struct{})
	return c
}

// History is what the workers have been told so far.
func (c *Crew) History() *check.History { return c.history }

// Now is the time of the history.
func (c *Crew) Now() time.Duration { return time.Since(c.start) }

// add adds a worker that connects to addr.
func (c *Crew) add(name, addr string, t task) *worker {
	w := &worker{
		crew: c, name: fmt.Sprintf("%s%d", name, len(c.workers)+1), addr: addr, task: t,
		rng: rand.New(rand.NewPCG(c.cfg.Seed, uint64(len(c.workers)))),
	}
	c.workers = append(c.workers, w)
	return w
}

// Start connects the workers and lets them work.
func (c *Crew) Start() error {
	for _, w := range c.workers {
		conn, err := c.Dial(w.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if err := w.task.begin(w, conn); err != nil {
			conn.Close()
			return fmt.Errorf("%s: %w", w.name, err)
		}
		c.wg.Go(func() {
			defer conn.Close()
			if err := w.run(conn); err != nil && c.ctx.Err() == nil {
				c.fail(fmt.Errorf("%s: %w", w.name, err))
			}
		})
	}
	return nil
}

// Dial connects and logs in as the crew's account.
func (c *Crew) Dial(addr string) (*traffic.Conn, error) {
	d := traffic.Dialer{Timeout: c.cfg.Timeout}
	conn, err := d.Dial(c.ctx, addr)
	if err != nil {
		return nil, err
	}
	if err := conn.Login(c.cfg.User, c.cfg.Password); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// Stop ends the workers and returns why the first that failed did.
func (c *Crew) Stop() error {
	c.cancel()
	c.wg.Wait()
	return c.Err()
}

// Err is why the first worker that failed did; nil while all work.
func (c *Crew) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}

func (c *Crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.err == nil {
		c.mu.err = err
	}
	c.wakeLocked()
}

func (c *Crew) wakeLocked() {
	close(c.mu.changed)
	c.mu.changed = make(chan struct{})
}

// Pause waits until each worker that writes is between two commands, and keeps it
// there until resume is called.
func (c *Crew) Pause() (resume func()) {
	c.gate.Lock()
	return c.gate.Unlock
}

// AllAnswered waits until each worker has had an answer to a command that it
// began after from.
func (c *Crew) AllAnswered(ctx context.Context, from time.Duration) error {
	for {
		behind, changed, err := c.behind(from)
		if err != nil || len(behind) == 0 {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("without an answer: %v: %w", behind, context.Cause(ctx))
		}
	}
}

// behind returns the workers whose last answer is to a command begun before from.
func (c *Crew) behind(from time.Duration) (names []string, changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		if w.done == 0 || w.lastStart < from {
			names = append(names, w.name)
		}
	}
	return names, c.mu.changed, c.mu.err
}

// Done is how many commands have been answered OK.
func (c *Crew) Done() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, w := range c.workers {
		n += w.done
	}
	return n
}

func (w *worker) run(conn *traffic.Conn) error {
	for w.crew.ctx.Err() == nil {
		if err := w.step(conn); err != nil {
			return err
		}
	}
	return nil
}

// step does one step, if it writes while no pause is asked for.
func (w *worker) step(conn *traffic.Conn) error {
	if !w.reads {
		w.crew.gate.RLock()
		defer w.crew.gate.RUnlock()
	}
	began := w.crew.Now()
	if err := w.task.step(w, conn); err != nil {
		return err
	}
	w.crew.mu.Lock()
	defer w.crew.mu.Unlock()
	w.lastStart = began
	w.done++
	w.crew.wakeLocked()
	return nil
}

// span notes when fn began and ended. After an error the end is Never: even NO
// does not say that nothing was done, or will be.
func (w *worker) span(fn func() error) (check.Span, error) {
	s := check.Span{Start: w.crew.Now(), End: check.Never}
	err := fn()
	if err == nil {
		s.End = w.crew.Now()
	}
	return s, err
}
