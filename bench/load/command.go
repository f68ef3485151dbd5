package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorumail/quorumail/bench/report"
)

// Command returns the command "bench" with its subcommands.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure IMAP servers, and compare Quorumail with Dovecot",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCompare(), newRun(), newShards(), newRestart(), newList())
	return cmd
}

// commonFlags are those of run and compare.
type commonFlags struct {
	scale    string
	only     string
	rounds   int
	clients  int
	duration time.Duration
	markdown string
}

// scaleUsage describes the flag.
const scaleUsage = "how much is done: small takes minutes; goal has the sizes that the goals are stated for, in short rounds, and takes about 25 minutes on two cores; full has long rounds too, and takes hours"

func (f *commonFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.scale, "scale", "small", scaleUsage)
	flags.StringVar(&f.only, "only", "", "run scenarios whose names match this regular `expression`")
	flags.IntVar(&f.rounds, "rounds", 0, "rounds of each scenario (default that of the scale)")
	flags.IntVar(&f.clients, "clients", 0, "clients of append and store (default that of the scale)")
	flags.DurationVar(&f.duration, "duration", 0, "time of a round of append and store (default that of the scale)")
	flags.StringVar(&f.markdown, "markdown", "", "write the table as Markdown into this `file` too")
}

// options checks the flags.
func (f *commonFlags) options(cmd *cobra.Command) (Options, error) {
	scale, err := ScaleOf(f.scale)
	if err != nil {
		return Options{}, err
	}
	if f.rounds < 0 || f.clients < 0 || f.duration < 0 {
		return Options{}, errors.New("--rounds, --clients, --duration: want more than nothing")
	}
	if f.rounds > 0 {
		scale.Rounds = f.rounds
	}
	if f.clients > 0 {
		scale.Clients = f.clients
	}
	if f.duration > 0 {
		scale.Duration = f.duration
	}
	o := Options{Scale: scale, Progress: cmd.ErrOrStderr()}
	if f.only != "" {
		if o.Only, err = regexp.Compile(f.only); err != nil {
			return Options{}, fmt.Errorf("--only: %w", err)
		}
	}
	return o, nil
}

// publish prints the table, and fails if a scenario did.
func (f *commonFlags) publish(cmd *cobra.Command, table *report.Table) error {
	table.Command = strings.Join(append([]string{"quorumail"}, argsOf(cmd)...), " ")
	if err := table.Text(cmd.OutOrStdout()); err != nil {
		return err
	}
	if f.markdown != "" {
		file, err := os.Create(f.markdown)
		if err != nil {
			return err
		}
		if err := errors.Join(table.Markdown(file), file.Close()); err != nil {
			return err
		}
	}
	var failed []string
	for _, r := range table.Rows {
		if r.Failed != "" {
			failed = append(failed, r.Name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("bench: failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// argsOf is the command line again, from the flags that were given.
func argsOf(cmd *cobra.Command) []string {
	args := []string{"bench", cmd.Name()}
	for _, name := range []string{"side", "scale", "only", "rounds", "clients", "duration", "shards", "heartbeat", "idle", "kills", "nodes", "mib", "restarts"} {
		if fl := cmd.Flags().Lookup(name); fl != nil && fl.Changed {
			args = append(args, "--"+name, fl.Value.String())
		}
	}
	return args
}

func newRun() *cobra.Command {
	var common commonFlags
	var t Target
	var addrs, accounts []string
	var useTLS, insecure bool
	var pid int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run scenarios against one server, whichever it is",
		Long: `Runs scenarios against one server by its address. The accounts must exist; mailboxes
are created in them and left there.`,
		Example: `  quorumail bench run --imap 127.0.0.1:1143 --account alice@example.org:secret --only 'append|store'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := common.options(cmd)
			if err != nil {
				return err
			}
			var secured *tls.Config
			if useTLS || insecure {
				secured = &tls.Config{InsecureSkipVerify: insecure}
			}
			for _, a := range addrs {
				t.IMAP = append(t.IMAP, Endpoint{Addr: a, TLS: secured})
			}
			for _, a := range accounts {
				name, password, ok := strings.Cut(a, ":")
				if !ok || name == "" {
					return fmt.Errorf("--account %q: want NAME:PASSWORD", a)
				}
				t.Accounts = append(t.Accounts, Account{name, password})
			}
			t.Name = addrs[0]
			if pid != 0 {
				t.Memory = func() ([]int, error) { return processTree(pid) }
			}
			table := &report.Table{
				Title: "Scenarios, " + o.Scale.Name, When: time.Now(), Machine: report.ThisMachine(), Ours: t.Name,
			}
			if table.Rows, err = Compare(cmd.Context(), o, &t); err != nil {
				return err
			}
			return common.publish(cmd, table)
		},
	}
	common.add(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&addrs, "imap", []string{"127.0.0.1:1143"}, "`addresses` of IMAP frontends of the same server, with commas")
	flags.StringVar(&t.LMTP, "lmtp", "", "`address` for LMTP")
	flags.StringArrayVar(&accounts, "account", []string{"alice@example.org:secret"}, "an account as `NAME:PASSWORD`; repeatable")
	flags.BoolVar(&useTLS, "tls", false, "speak TLS from the first octet")
	flags.BoolVar(&insecure, "insecure", false, "speak TLS with a server of any certificate")
	flags.IntVar(&pid, "pid", 0, "process `id` whose memory, with that of its children, idle sessions cost")
	return cmd
}

func newCompare() *cobra.Command {
	var common commonFlags
	var dir, binary, side string
	var keep bool
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare Quorumail with Dovecot on this machine",
		Long: `Starts a cluster of three storage nodes and two frontends, and a private Dovecot
(Debian: apt-get install dovecot-imapd), on loopback with data on disk; runs all
scenarios against both, in alternating rounds; then what concerns a cluster alone,
on clusters of its own: idle shards, failover, the restart of a full node. Prints
figures and ratios. A scenario that fails leaves a row that says so.`,
		Example: `  quorumail bench compare --scale small
  quorumail bench compare --scale goal --dir /var/tmp/bench --markdown table.md`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := common.options(cmd)
			if err != nil {
				return err
			}
			if !slices.Contains([]string{"both", "quorumail", "dovecot"}, side) {
				return fmt.Errorf("--side %q: want both, quorumail or dovecot", side)
			}
			c := comparison{options: o, binary: binary, side: side}
			if err := c.directory(dir, keep); err != nil {
				return err
			}
			table, err := c.run(cmd.Context())
			if err := errors.Join(err, c.close()); err != nil {
				return err
			}
			return common.publish(cmd, table)
		},
	}
	common.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", "", "`directory` on the disk to measure, for data and logs (default a temporary one)")
	flags.StringVar(&binary, "binary", "", "quorumail `binary` to measure (default this one)")
	flags.StringVar(&side, "side", "both", "measure both, or quorumail or dovecot alone")
	flags.BoolVar(&keep, "keep", false, "leave data and logs in the directory")
	return cmd
}

// comparison is one run of compare.
type comparison struct {
	options      Options
	binary, side string
	dir          string
	closers      []func() error // called last first
}

// directory makes a new directory in parent, to be removed at the end.
func (c *comparison) directory(parent string, keep bool) error {
	if parent != "" {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	var err error
	if c.dir, err = os.MkdirTemp(parent, "quorumail-bench-"); err != nil {
		return err
	}
	// The users that Dovecot runs as must reach their files in it.
	if err := os.Chmod(c.dir, 0o755); err != nil {
		return err
	}
	if !keep {
		c.closers = append(c.closers, func() error { return os.RemoveAll(c.dir) })
	}
	return nil
}

func (c *comparison) close() error {
	var errs []error
	for _, fn := range slices.Backward(c.closers) {
		errs = append(errs, fn())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// run starts the servers and compares them.
func (c *comparison) run(ctx context.Context) (*report.Table, error) {
	binary, err := binaryOr(c.binary)
	if err != nil {
		return nil, err
	}
	table := &report.Table{Title: "Speed, scale " + c.options.Scale.Name + goalsOf(c.options.Scale), When: time.Now(), Machine: report.ThisMachine()}
	if err := table.Machine.MeasureDisk(ctx, c.dir); err != nil {
		return nil, err
	}
	own := selectTrials(c.options.Scale, c.options.Only)
	if _, err := c.options.scenarios(); err == nil || len(own) == 0 {
		if err := c.compare(ctx, table); err != nil {
			return nil, err
		}
	} else {
		table.Ours = "Quorumail " + binaryVersion(ctx, binary)
	}
	if c.side == "dovecot" {
		return table, nil
	}
	rows, err := runTrials(ctx, own, binary, c.dir, c.options.Progress)
	table.Rows = append(table.Rows, rows...)
	return table, err
}

// compare starts the servers, compares them, and stops them: what is measured after
// that is to have the machine for itself.
func (c *comparison) compare(ctx context.Context, table *report.Table) error {
	var targets []*Target
	var stops comparison
	for _, s := range []struct {
		side  string
		start func(context.Context, string) (*Target, func() error, error)
	}{
		{"quorumail", func(ctx context.Context, dir string) (*Target, func() error, error) {
			return startQuorumail(ctx, c.binary, dir)
		}},
		{"dovecot", startDovecot},
	} {
		if c.side != "both" && c.side != s.side {
			continue
		}
		fmt.Fprintf(c.options.Progress, "%s starts\n", s.side)
		t, stop, err := s.start(ctx, c.dir)
		if err != nil {
			return errors.Join(err, stops.close())
		}
		stops.closers = append(stops.closers, stop)
		targets = append(targets, t)
	}
	if len(targets) == 2 {
		table.Theirs = targets[1].Version
	}
	table.Ours = targets[0].Version
	var err error
	table.Rows, err = Compare(ctx, c.options, targets...)
	return errors.Join(err, stops.close())
}

// goalsOf warns where goals are for something else.
func goalsOf(s Scale) string {
	if s.Name != "small" {
		return ""
	}
	return " (the goals are stated for other sizes: scale goal)"
}

func newList() *cobra.Command {
	var scale string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the scenarios",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sc, err := ScaleOf(scale)
			if err != nil {
				return err
			}
			for _, s := range Scenarios() {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-16s %s\n", s.Name, s.What(sc)); err != nil {
					return err
				}
			}
			for _, t := range trials(sc) {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-16s %s\n", t.name, t.what); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&scale, "scale", "small", "with the numbers of this scale: small, goal or full")
	return cmd
}
