// Command quorumail is every process of a Quorumail cluster in one binary.
//
//	quorumail dev     a whole cluster in one process, to try it out
//	quorumail node    a storage node
//	quorumail front   an IMAP and LMTP frontend, stateless
//	quorumail admin   accounts, status and comparison of replicas
//	quorumail bench   figures of this and other IMAP servers
//
// Servers print one line "ready" on stdout when they serve, log to stderr, and
// stop cleanly on SIGINT or SIGTERM; a second signal ends them at once.
//
// # Exit status
//
// 0 is success, 1 a failure, 2 a command line or configuration that makes no
// sense.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(mainStatus()) }

// mainStatus is main without the exit, so that what it defers is done.
func mainStatus() int {
	useBufferPool()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal begins a clean stop. From then on signals have their default
	// effect again, for whoever will not wait.
	context.AfterFunc(ctx, stop)
	return report(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr), os.Stderr)
}

// report prints err for a person and returns the exit status that it means.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "quorumail: %v\n", err)
	if usage := new(usageError); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// usageError is a mistake on the command line or in a configuration file.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage makes err a usageError, unless it is nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}
