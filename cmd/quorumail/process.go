package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"time"
)

// stopGrace is how long a server that was told to stop may take to hand over
// leaderships and finish commands.
const stopGrace = 10 * time.Second

// raiseGOMAXPROCS lets a process that hosts storage run more threads than there
// are cores. A goroutine blocked in fdatasync keeps its processor (a P) until the
// runtime's monitor takes it back, so with as many Ps as cores a few shards that
// sync at once leave none for those that could run: on two cores 32 Raft groups
// gained 2.4 to 5.9 times the throughput from 16. One group gains nothing, and
// loses nothing. The GOMAXPROCS environment variable wins.
func raiseGOMAXPROCS(log *slog.Logger) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(16, 2*runtime.NumCPU()))
	}
	log.Debug("threads", "gomaxprocs", runtime.GOMAXPROCS(0), "cpus", runtime.NumCPU())
}

// startPprof serves Go profiles until the returned function is called. An empty
// address means not to. Others than loopback are refused: profiles show memory.
func startPprof(addr string, log *slog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, usage(fmt.Errorf("--pprof: %w", err))
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usage(fmt.Errorf("--pprof %s: not a loopback address", addr))
	}
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("pprof: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	// What is contended for and waited for is only noted while someone may ask.
	runtime.SetMutexProfileFraction(100)
	runtime.SetBlockProfileRate(1_000_000)
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
	return func() { srv.Close(); <-done }, nil
}

// graceful returns a context for what is still to be done once ctx has ended.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
}
