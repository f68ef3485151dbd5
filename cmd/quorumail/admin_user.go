package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func newAdminUser(flags *adminFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Add and delete accounts, set passwords",
		Args:  groupArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newUserAdd(flags),
		newUserWithPassword(flags, "passwd", "Set an account's password", "changed", func(*pflag.FlagSet) (userFunc, error) {
			return setPassword, nil
		}),
		newUserDelete(flags),
	)
	return cmd
}

// userFunc does something with a password to the session's account.
type userFunc func(ctx context.Context, s *client.Session, password string, iterations int) error

// newUserAdd is the command that creates an account, with limits if they are given.
func newUserAdd(flags *adminFlags) *cobra.Command {
	var quota quotaFlags
	cmd := newUserWithPassword(flags, "add", "Create an account", "added", func(given *pflag.FlagSet) (userFunc, error) {
		limits, _, err := quota.parse(given)
		return func(ctx context.Context, s *client.Session, password string, iterations int) error {
			return addUser(ctx, s, password, iterations, limits)
		}, err
	})
	quota.addFlags(cmd.Flags())
	return cmd
}

// newUserWithPassword is a command that reads a password. what returns what it
// does with it, once the flags are known.
func newUserWithPassword(flags *adminFlags, verb, short, done string, what func(*pflag.FlagSet) (userFunc, error)) *cobra.Command {
	var in passwordInput
	iterations := client.DefaultIterations
	cmd := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Long: short + `.

The password is read from the terminal, or, if that is none, is the first line of
the standard input.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := imapnum.AccountName(args[0])
			if err != nil {
				return usage(fmt.Errorf("%q: %w", args[0], err))
			}
			fn, err := what(cmd.Flags())
			if err != nil {
				return err
			}
			password, err := in.read(cmd)
			if err != nil {
				return err
			}
			return flags.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				if err := fn(ctx, c.Session(name), password, iterations); err != nil {
					return fmt.Errorf("user %s: %s: %w", verb, name, err)
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), done, name)
				return err
			})
		},
	}
	in.addFlags(cmd)
	cmd.Flags().IntVar(&iterations, "iterations", iterations, "SCRAM iteration count: the work of each guess at a stolen password")
	return cmd
}

func newUserDelete(flags *adminFlags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an account with all its mail",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := imapnum.AccountName(args[0])
			if err != nil {
				return usage(fmt.Errorf("%q: %w", args[0], err))
			}
			if !yes {
				return usage(fmt.Errorf("this deletes all mail of %s: say --yes", name))
			}
			return flags.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				err := mutate(ctx, c.Session(name), &pb.Entry{Op: &pb.Entry_DeleteAccount{DeleteAccount: &pb.DeleteAccountOp{}}})
				if err != nil {
					return fmt.Errorf("user delete: %s: %w", name, err)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "deleted", name)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	return cmd
}

// errAccountExists: an account of that name is there already.
var errAccountExists = errors.New("the account exists already")

// mutate proposes entry and turns a refusal into an error.
func mutate(ctx context.Context, s *client.Session, entry *pb.Entry) error {
	res, err := s.Propose(ctx, entry)
	if err != nil {
		return err
	}
	switch res.GetCode() {
	case pb.Code_CODE_OK:
		return nil
	case pb.Code_CODE_ACCOUNT_EXISTS:
		return errAccountExists
	case pb.Code_CODE_NO_ACCOUNT:
		return client.ErrNoAccount
	}
	return fmt.Errorf("refused: %s %s", res.GetCode(), res.GetDetail())
}

// addUser creates the session's account; errAccountExists if it is there. Without
// limits (nil) it may hold any amount.
func addUser(ctx context.Context, s *client.Session, password string, iterations int, limits *pb.QuotaLimits) error {
	creds, err := client.NewCredentials(password, iterations)
	if err != nil {
		return err
	}
	return mutate(ctx, s, &pb.Entry{Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{
		Credentials: creds, UidValiditySeed: uint32(time.Now().Unix()), Quota: limits,
	}}})
}

// setPassword gives the session's account a new password.
func setPassword(ctx context.Context, s *client.Session, password string, iterations int) error {
	creds, err := client.NewCredentials(password, iterations)
	if err != nil {
		return err
	}
	return mutate(ctx, s, &pb.Entry{Op: &pb.Entry_SetCredentials{SetCredentials: &pb.SetCredentialsOp{Credentials: creds}}})
}

// passwordInput is where a password comes from.
type passwordInput struct {
	flag  string
	stdin bool
}

func (p *passwordInput) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.flag, "password", "", "the password; other users of this machine can see it")
	cmd.Flags().BoolVar(&p.stdin, "password-stdin", false, "read the password from the standard input, even if it is a terminal")
	cmd.MarkFlagsMutuallyExclusive("password", "password-stdin")
}

func (p *passwordInput) read(cmd *cobra.Command) (string, error) {
	password, err := p.readAny(cmd)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	if password == "" {
		return "", usage(errors.New("password: it is empty"))
	}
	return password, nil
}

func (p *passwordInput) readAny(cmd *cobra.Command) (string, error) {
	if cmd.Flags().Changed("password") {
		return p.flag, nil
	}
	in := cmd.InOrStdin()
	if f, ok := in.(*os.File); ok && !p.stdin && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		line, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(line), err
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
