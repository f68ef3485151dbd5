package fault

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running quorumail.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file with what it says on stderr
	done chan struct{} // closed when it has ended and been waited for

	mu struct {
		sync.Mutex
		lines []string      // of stdout
		more  chan struct{} // closed at the next line, and at the end
		err   error         // of Wait; meaningful once done is closed
	}
}

// start starts bin with args. Its stderr is appended to dir/name.log.
func start(dir, name, bin string, args ...string) (*Process, error) {
	p := &Process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	p.mu.more = make(chan struct{})
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(bin, args...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = attributes()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go p.watch(out)
	return p, nil
}

// watch collects what the process says until it ends.
func (p *Process) watch(out io.Reader) {
	defer close(p.done)
	for sc := bufio.NewScanner(out); sc.Scan(); {
		p.mu.Lock()
		p.mu.lines = append(p.mu.lines, sc.Text())
		p.wakeLocked()
		p.mu.Unlock()
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.err = err
	p.wakeLocked()
}

func (p *Process) wakeLocked() {
	close(p.mu.more)
	p.mu.more = make(chan struct{})
}

// WaitReady waits until the process has said "ready".
func (p *Process) WaitReady(ctx context.Context) error {
	for {
		ready, more := p.said("ready")
		if ready {
			return nil
		}
		select {
		case <-more:
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %w\n%s", p.name, p.exit(), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.name, context.Cause(ctx), p.tail())
		}
	}
}

// said reports whether the process has printed line; more is closed when it
// prints another.
func (p *Process) said(line string) (yes bool, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.mu.lines {
		if l == line {
			return true, nil
		}
	}
	return false, p.mu.more
}

// Value returns what follows key on the line of stdout that starts with it.
func (p *Process) Value(key string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.mu.lines {
		if rest, ok := strings.CutPrefix(l, key+" "); ok {
			return strings.TrimSpace(rest), nil
		}
	}
	return "", fmt.Errorf("%s has printed no line %q", p.name, key)
}

// Alive reports whether the process runs.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process, and to it alone.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s: %v: %w", p.name, sig, err)
	}
	return nil
}

// Kill ends the process as nothing it could prepare for, and waits until it is
// gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end, and returns how it did. After the time given it
// is killed, which is an error.
func (p *Process) Stop(within time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.exit()
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("%s did not stop within %v\n%s", p.name, within, p.tail())
	}
}

// exit is how the process ended; nil for status 0.
func (p *Process) exit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.err != nil {
		return fmt.Errorf("%s: %w", p.name, p.mu.err)
	}
	return nil
}

// logged reports whether the process's log has a text.
func (p *Process) logged(text string) bool {
	data, err := os.ReadFile(p.log)
	return err == nil && bytes.Contains(data, []byte(text))
}

// tail is the end of the process's log.
func (p *Process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 3000
	return string(data[max(0, len(data)-most):])
}
