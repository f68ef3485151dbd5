package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quorumail/quorumail/bench/load"
)

// run is the whole program: args are without the program's name.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// processFlags are the flags of each command: what concerns the process and not
// what it serves.
type processFlags struct {
	logLevel string
	profiles profiles
}

// logger makes the process's logger.
func (f *processFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, usage(fmt.Errorf("--log-level %q: want debug, info, warn or error", f.logLevel))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), nil
}

func newRoot() *cobra.Command {
	flags := new(processFlags)
	root := &cobra.Command{
		Use:   "quorumail",
		Short: "A clustered mail store: IMAP and LMTP in front of Raft",
		Long: `Quorumail keeps mail on a cluster of storage nodes that agree on each change of
each mailbox by Raft, and serves it over IMAP through stateless frontends.

To try it:  quorumail dev`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          groupArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.PersistentFlags().StringVar(&flags.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
	flags.profiles.addFlags(root.PersistentFlags())
	bench := load.Command()
	bench.Args = groupArgs
	root.AddCommand(
		newDev(flags), newNode(flags), newFront(flags), newAdmin(flags), bench, newVersion(),
	)
	return root
}

// groupArgs refuses arguments of a command that only groups others: they are
// misspelt subcommands.
func groupArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	msg := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		msg += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage(errors.New(msg))
}

// exactArgs wants n positional arguments.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return usage(cobra.ExactArgs(n)(cmd, args)) }
}
