package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/spf13/pflag"
)

// profiles says which Go profiles a process serves, and where.
type profiles struct {
	addr  string        // empty: none
	mutex int           // one of so many contentions of a mutex is noted; 0: none
	block time.Duration // waits are noted in proportion to this; 0: none
}

func (p *profiles) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.addr, "pprof", "", "serve Go profiles (CPU, heap, mutex, block, goroutines) on this loopback `address`, under /debug/pprof/")
	flags.IntVar(&p.mutex, "pprof-mutex", 100, "with --pprof: note one in so `many` waits for a mutex; 0: none")
	flags.DurationVar(&p.block, "pprof-block", time.Millisecond, "with --pprof: note goroutines' waits, shorter ones than this `time` seldom; 0: none")
}

func (p *profiles) validate() error {
	if p.mutex < 0 {
		return usage(fmt.Errorf("--pprof-mutex %d: want 0 or more", p.mutex))
	}
	if p.block < 0 {
		return usage(fmt.Errorf("--pprof-block %v: want 0 or more", p.block))
	}
	if p.addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(p.addr)
	if err != nil {
		return usage(fmt.Errorf("--pprof: %w", err))
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usage(fmt.Errorf("--pprof %s: not a loopback address", p.addr))
	}
	return nil
}

// start serves the profiles until the returned function is called, and prints where
// on a line that begins with "pprof". Others than loopback addresses are refused:
// profiles show memory, and whoever asks for one slows the process down.
func (p *profiles) start(stdout io.Writer, log *slog.Logger) (stop func(), err error) {
	if err := p.validate(); err != nil || p.addr == "" {
		return func() {}, err
	}
	lis, err := net.Listen("tcp", p.addr)
	if err != nil {
		return nil, fmt.Errorf("pprof: %w", err)
	}
	// Contention and waits are only noted while someone may ask.
	runtime.SetMutexProfileFraction(p.mutex)
	runtime.SetBlockProfileRate(int(p.block.Nanoseconds()))
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index) // heap, mutex, block and the other ones by name
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			log.Warn("pprof stopped", "err", err)
		}
	}()
	log.Info("pprof listens", "url", "http://"+lis.Addr().String()+"/debug/pprof/")
	fmt.Fprintf(stdout, "%-5s %s\n", "pprof", lis.Addr())
	return func() { srv.Close(); <-done }, nil
}
