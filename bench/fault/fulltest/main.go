// Command fulltest runs fault.FullTest on three small file systems, which full.sh makes.
package main

import (
	"context"
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
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	o := fault.FullOptions{Out: os.Stdout}
	flag.StringVar(&o.Dir, "dir", "", "`directory` whose n1, n2 and n3 are file systems to be filled")
	flag.StringVar(&o.Bin, "bin", os.Getenv("QUORUMAIL_BIN"), "the quorumail `binary`; default: it is built")
	flag.Parse()
	if o.Dir == "" {
		return fmt.Errorf("-dir is not set; full.sh makes one")
	}
	if o.Bin == "" {
		if o.Bin, err = fault.Build(ctx, o.Dir); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := fault.FullTest(ctx, o); err != nil {
		return err
	}
	fmt.Printf("passed in %v\n", time.Since(began).Round(time.Second))
	return nil
}
