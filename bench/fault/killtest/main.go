// Command killtest runs fault.KillTest: it kills the leader of a shard again and
// again while clients work, and compares what they were told with what is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/quorumail/quorumail/bench/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	o := fault.Options{Out: os.Stdout}
	flags := flag.NewFlagSet("killtest", flag.ContinueOnError)
	flags.IntVar(&o.Kills, "kills", 20, "how many times the leader is killed with SIGKILL")
	flags.IntVar(&o.Stops, "stops", 3, "how many times the leader is stopped with SIGSTOP until there is another")
	flags.IntVar(&o.Blackouts, "blackouts", 3, "how many times all nodes are killed at once")
	flags.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "makes the choices")
	flags.StringVar(&o.Bin, "bin", os.Getenv("QUORUMAIL_BIN"), "the quorumail `binary`; default: it is built")
	keep := flags.Bool("keep", false, "keep data and logs even if all is well")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "quorumail-kill-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil || *keep {
			fmt.Println("data and logs:", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if o.Bin == "" {
		if o.Bin, err = fault.Build(ctx, dir); err != nil {
			return err
		}
	}
	o.Dir = dir
	fmt.Printf("seed %d\n", o.Seed)
	began := time.Now()
	if err := fault.KillTest(ctx, o); err != nil {
		return err
	}
	fmt.Printf("passed in %v\n", time.Since(began).Round(time.Second))
	return nil
}
