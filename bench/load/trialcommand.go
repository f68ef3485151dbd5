package load

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorumail/quorumail/bench/report"
)

// newShards is the command that runs a trial of idle shards alone.
func newShards() *cobra.Command {
	o := shardsOptions{}
	return newTrialCommand(&cobra.Command{
		Use:   "shards",
		Short: "Measure idle nodes with many shards, and failover at the same settings",
		Long: `Founds a cluster of three nodes, processes on loopback, with many shards; tells
processor time, memory and goroutines of the nodes while nobody asks anything of
them; then kills with SIGKILL the node that leads most, again and again, and tells
how long those who write to its shards wait.`,
		Example: `  quorumail bench shards --shards 64
  quorumail bench shards --shards 256 --heartbeat 2s`,
		Args: cobra.NoArgs,
	}, func(cmd *cobra.Command) {
		flags := cmd.Flags()
		flags.IntVar(&o.shards, "shards", 64, "shards of the cluster")
		flags.DurationVar(&o.heartbeat, "heartbeat", time.Second, "Raft's heartbeat timeout, as of quorumail node")
		flags.DurationVar(&o.idle, "idle", time.Minute, "how long the nodes are watched")
		flags.IntVar(&o.kills, "kills", 5, "how many leaders are killed")
	}, func() (trial, error) {
		if o.shards < 1 || o.idle < time.Second || o.kills < 0 {
			return trial{}, errors.New("--shards, --idle, --kills: want a shard, a second and no less than nothing")
		}
		return shardsTrial(o), nil
	})
}

// newRestart is the command that runs a trial of restarts alone.
func newRestart() *cobra.Command {
	o := restartOptions{}
	var mebibytes int64
	return newTrialCommand(&cobra.Command{
		Use:   "restart",
		Short: "Measure how soon a node with much mail serves again after SIGKILL",
		Long: `Fills a cluster with mail of 4 KiB to 1 MiB, kills a node with SIGKILL and starts it
again, and tells when it has answered. Of three nodes, which go on meanwhile, it also
tells when the node has caught up.`,
		Example: `  quorumail bench restart --mib 10240 --dir /var/tmp/bench`,
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command) {
		flags := cmd.Flags()
		flags.IntVar(&o.nodes, "nodes", 1, "nodes of the cluster, each with all the mail: 1 or 3")
		flags.Int64Var(&mebibytes, "mib", 1024, "`mebibytes` of mail; the disk needs half as much again for each node")
		flags.IntVar(&o.restarts, "restarts", 3, "how often it is killed")
	}, func() (trial, error) {
		if o.nodes != 1 && o.nodes != 3 || mebibytes < 1 || o.restarts < 1 {
			return trial{}, errors.New("--nodes, --mib, --restarts: want 1 or 3 nodes, some mail and a restart")
		}
		o.size = mebibytes << 20
		return restartTrial(o), nil
	})
}

// newTrialCommand completes a command that runs one trial and prints its rows.
func newTrialCommand(cmd *cobra.Command, addFlags func(*cobra.Command), make func() (trial, error)) *cobra.Command {
	var dir, binary string
	var common commonFlags
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		t, err := make()
		if err != nil {
			return err
		}
		c := comparison{options: Options{Progress: cmd.ErrOrStderr()}}
		if c.binary, err = binaryOr(binary); err != nil {
			return err
		}
		if err := c.directory(dir, false); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.close()) }()
		table := &report.Table{
			Title: "Quorumail: " + t.what, When: time.Now(), Machine: report.ThisMachine(),
			Ours: "Quorumail " + binaryVersion(cmd.Context(), c.binary),
		}
		if err := table.Machine.MeasureDisk(cmd.Context(), c.dir); err != nil {
			return err
		}
		if table.Rows, err = runTrials(cmd.Context(), []trial{t}, c.binary, c.dir, c.options.Progress); err != nil {
			return err
		}
		return common.publish(cmd, table)
	}
	addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", "", "`directory` on the disk to measure (default a temporary one)")
	flags.StringVar(&binary, "binary", "", "quorumail `binary` to measure (default this one)")
	flags.StringVar(&common.markdown, "markdown", "", "write the table as Markdown into this `file` too")
	return cmd
}

// binaryOr is the binary to measure: that which is named, or this one.
func binaryOr(binary string) (string, error) {
	if binary != "" {
		return binary, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("load: which binary this is: %w", err)
	}
	return self, nil
}
