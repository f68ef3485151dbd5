package dovecot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout bounds the time until Dovecot greets.
	startTimeout = 30 * time.Second
	// stopTimeout is how long it may take to stop before it is killed.
	stopTimeout = 20 * time.Second
)

// ErrNotInstalled says that there is no Dovecot on this machine.
var ErrNotInstalled = errors.New("dovecot is not installed (Debian: apt-get install dovecot-imapd)")

// Server is a running Dovecot. It belongs to one goroutine at a time.
type Server struct {
	cfg    Config
	owner  owner
	binary string
	port   int
	cmd    *exec.Cmd
	exited chan struct{} // closed once cmd has been waited for
}

// find returns the master's binary.
func find() (string, error) {
	for _, name := range []string{"dovecot", "/usr/sbin/dovecot"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNotInstalled
}

// Version returns what the installed Dovecot calls itself.
func Version(ctx context.Context) (string, error) {
	binary, err := find()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("dovecot: version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Start starts a Dovecot and waits until it greets clients. ctx bounds the start
// only; Close stops it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	binary, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, binary: binary}
	if s.owner, err = findOwner(); err != nil {
		return nil, fmt.Errorf("dovecot: %w", err)
	}
	if s.port, err = freePort(); err != nil {
		return nil, fmt.Errorf("dovecot: %w", err)
	}
	if err := s.directories(); err != nil {
		return nil, fmt.Errorf("dovecot: %w", err)
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// freePort finds a port that nobody listens on. Somebody else may take it before
// Dovecot does; then Dovecot says so and does not start.
func freePort() (int, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer lis.Close()
	return lis.Addr().(*net.TCPAddr).Port, nil
}

// directories makes those that Dovecot expects. The mail owner must be able to
// reach its own.
func (s *Server) directories() error {
	for _, name := range []string{"run", "state", "mail"} {
		if err := os.MkdirAll(filepath.Join(s.cfg.Dir, name), 0o755); err != nil {
			return err
		}
	}
	if !s.owner.root {
		return nil
	}
	if err := os.Chmod(s.cfg.Dir, 0o755); err != nil {
		return err
	}
	return os.Chown(filepath.Join(s.cfg.Dir, "mail"), s.owner.mailUID, s.owner.mailGID)
}

func chown(file string, u *user.User) error {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return os.Chown(file, uid, gid)
}

func (s *Server) configFile() string { return filepath.Join(s.cfg.Dir, "dovecot.conf") }

func (s *Server) start(ctx context.Context) error {
	if err := s.files(); err != nil {
		return fmt.Errorf("dovecot: config: %w", err)
	}
	// Its life is the Server's, not that of ctx: it is stopped by signals in order.
	s.cmd = exec.Command(s.binary, "-F", "-c", s.configFile())
	s.cmd.Dir = s.cfg.Dir
	var complaints strings.Builder
	s.cmd.Stderr = &complaints
	s.cmd.SysProcAttr = attributes()
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("dovecot: %w", err)
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		cmd.Wait()
	}(s.cmd, s.exited)
	if err := s.awaitGreeting(ctx); err != nil {
		s.stop()
		return fmt.Errorf("dovecot: start: %w\n%s%s", err, complaints.String(), s.logTail())
	}
	return nil
}

// awaitGreeting tries to connect until Dovecot greets.
func (s *Server) awaitGreeting(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.greets(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no greeting: %w", err)
		case <-s.exited:
			return errors.New("it has exited")
		case <-tick.C:
		}
	}
}

func (s *Server) greets(ctx context.Context) error {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer nc.Close()
	deadline, _ := ctx.Deadline()
	if err := nc.SetDeadline(deadline); err != nil {
		return err
	}
	line, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "* OK") {
		return fmt.Errorf("greeting %q", line)
	}
	return nil
}

// logTail returns the end of the log, for errors.
func (s *Server) logTail() string {
	log, err := os.ReadFile(filepath.Join(s.cfg.Dir, "dovecot.log"))
	if err != nil {
		return ""
	}
	return string(log[max(0, len(log)-2000):])
}

// Addr is where it serves IMAP in the clear.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Pid is the master's process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Restart stops it and starts it again on the same mail and port.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Close stops it and waits until it is gone. Its directory stays.
func (s *Server) Close() error { return s.stop() }

// stop asks the master to stop, which stops its children; it is killed with them
// if it doesn't.
func (s *Server) stop() error {
	pid := s.cmd.Process.Pid
	s.cmd.Process.Signal(syscall.SIGTERM) // fails only if it is gone
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.exited:
		return nil
	case <-timer.C:
	}
	err := syscall.Kill(-pid, syscall.SIGKILL)
	<-s.exited
	return errors.Join(fmt.Errorf("dovecot: did not stop in %v and was killed", stopTimeout), err)
}
