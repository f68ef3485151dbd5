package main

import (
	"context"
	"log/slog"
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

// graceful returns a context for what is still to be done once ctx has ended.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
}
