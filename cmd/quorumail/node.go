package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/shard"
)

// nodeConfig is the configuration of "quorumail node", as flags and as a file.
type nodeConfig struct {
	// ID names the node in its cluster.
	ID string `yaml:"id"`
	// Cluster names the cluster: nodes of another refuse each other.
	Cluster string `yaml:"cluster"`
	// Data is the directory that the node keeps everything in.
	Data string `yaml:"data"`
	// Listen is the address for nodes, frontends and operators.
	Listen string `yaml:"listen"`
	// Peers are all founding nodes, this one too: id to address.
	Peers map[string]string `yaml:"peers"`
	// Shards is how many shards a cluster is founded with.
	Shards int `yaml:"shards"`
	// ExpungeHistory is how many ranges of expunged UIDs are kept a mailbox; see
	// node.Config.
	ExpungeHistory int `yaml:"expunge_history"`
	// Heartbeat is how long a follower hears nothing before it takes its leader for
	// dead; see shard.TimingOf.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// Balance is how often a node that leads more than another gives it a leadership;
	// see node.Config.
	Balance time.Duration `yaml:"balance"`
	// Scrub is how often a node reads all that it has; see node.Config.
	Scrub time.Duration `yaml:"scrub"`
	// TLS secures the connections between the processes of the cluster.
	TLS clusterTLS `yaml:"tls"`
}

// Validate says what is wrong with the configuration, or nil. What a node
// demands is checked by node.Config.
func (c *nodeConfig) Validate() error {
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("node: config: %w", err)
	}
	if c.Heartbeat < minHeartbeat || c.Heartbeat > maxHeartbeat {
		return fmt.Errorf("node: config: heartbeat %v: want %v to %v", c.Heartbeat, minHeartbeat, maxHeartbeat)
	}
	nc := c.node(slog.Default())
	return nc.Validate()
}

// Shorter heartbeats than minHeartbeat are late whenever a disk is busy; with longer
// ones than maxHeartbeat a node that died would be missed.
const minHeartbeat, maxHeartbeat = 100 * time.Millisecond, time.Minute

// node is the configuration of the node itself, without its credentials.
func (c *nodeConfig) node(log *slog.Logger) node.Config {
	return node.Config{
		ID: c.ID, Cluster: c.Cluster, DataDir: c.Data, Listen: c.Listen,
		Peers: c.Peers, Shards: c.Shards, ExpungeHistory: c.ExpungeHistory, Balance: c.Balance, Scrub: c.Scrub,
		Timing: shard.TimingOf(c.Heartbeat), Log: log,
	}
}

func newNode(process *processFlags) *cobra.Command {
	var file string
	var given nodeConfig
	var peers []string
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a storage node",
		Long: `Runs a storage node: a member of a cluster that keeps mail on disk and agrees with
the others on each change. All nodes are started with the same list of peers.

A cluster is founded once all of its nodes are there. A node that has lost its disk
comes back under its id with an empty one: it takes no part until the leaders have
taken it in as a new member and it has all that the others have. A node that finds its
data damaged sets it aside, beside the new, and does the same.`,
		Example: `  quorumail node --id n1 --data /var/lib/quorumail --listen 10.0.0.1:7000 \
      --peer n1=10.0.0.1:7000 --peer n2=10.0.0.2:7000 --peer n3=10.0.0.3:7000`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := nodeConfig{Shards: 4, Heartbeat: time.Second}
			if file != "" {
				if err := loadYAML(file, &cfg); err != nil {
					return err
				}
			}
			flags := cmd.Flags()
			override(flags, "id", &cfg.ID, given.ID)
			override(flags, "cluster", &cfg.Cluster, given.Cluster)
			override(flags, "data", &cfg.Data, given.Data)
			override(flags, "listen", &cfg.Listen, given.Listen)
			override(flags, "shards", &cfg.Shards, given.Shards)
			override(flags, "heartbeat", &cfg.Heartbeat, given.Heartbeat)
			override(flags, "expunge-history", &cfg.ExpungeHistory, given.ExpungeHistory)
			override(flags, "balance", &cfg.Balance, given.Balance)
			override(flags, "scrub", &cfg.Scrub, given.Scrub)
			given.TLS.override(flags, &cfg.TLS)
			if len(peers) > 0 {
				var err error
				if cfg.Peers, err = parsePeers(peers); err != nil {
					return usage(err)
				}
			}
			if err := cfg.Validate(); err != nil {
				return usage(err)
			}
			return runNode(cmd, process, &cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "config", "", "YAML `file`; flags win over it")
	flags.StringVar(&given.ID, "id", "", "this node's `name` in the cluster")
	flags.StringVar(&given.Cluster, "cluster", "", "the cluster's `name` (default quorumail)")
	flags.StringVar(&given.Data, "data", "", "`directory` for everything that the node keeps")
	flags.StringVar(&given.Listen, "listen", "", "`address` for other nodes, frontends and operators")
	flags.StringArrayVar(&peers, "peer", nil, "a founding node as `id=address`, this one too; repeatable")
	flags.IntVar(&given.Shards, "shards", 4, "shards of a cluster that is yet to be founded")
	flags.DurationVar(&given.Heartbeat, "heartbeat", time.Second, "`time` without a word from its leader after which a follower stands for election; the same on all nodes")
	flags.IntVar(&given.ExpungeHistory, "expunge-history", 0, "ranges of expunged UIDs to remember a mailbox, for clients that come back (default 100000; -1: all)")
	flags.DurationVar(&given.Balance, "balance", 0, "how often a node that leads at least two shards more than another gives it one (default 5s; -1s: never)")
	flags.DurationVar(&given.Scrub, "scrub", 0, "how often a node reads all that it has, to find out whether it still can (default 168h; -1s: only after a read that failed)")
	given.TLS.addFlags(flags)
	return cmd
}

// parsePeers reads id=address pairs.
func parsePeers(list []string) (map[string]string, error) {
	peers := make(map[string]string, len(list))
	for _, p := range list {
		id, addr, ok := strings.Cut(p, "=")
		if !ok || id == "" || addr == "" {
			return nil, fmt.Errorf("--peer %q: want id=host:port", p)
		}
		if _, ok := peers[id]; ok {
			return nil, fmt.Errorf("--peer %s: given twice", id)
		}
		peers[id] = addr
	}
	return peers, nil
}

func runNode(cmd *cobra.Command, process *processFlags, cfg *nodeConfig) error {
	ctx := cmd.Context()
	log, err := process.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	raiseGOMAXPROCS(log)
	stopPprof, err := process.profiles.start(cmd.OutOrStdout(), log)
	if err != nil {
		return err
	}
	defer stopPprof()

	nc := cfg.node(log)
	if nc.ServerTLS, nc.PeerTLS, err = cfg.TLS.credentials(); err != nil {
		return err
	}
	n, err := node.Open(ctx, nc)
	if err != nil {
		return err
	}
	log.Info("node listens", "node", cfg.ID, "addr", n.Addr())
	// Ready does not mean that the cluster has a quorum: the other nodes may wait
	// for this very line before they are started.
	fmt.Fprintln(cmd.OutOrStdout(), "ready")
	<-ctx.Done()

	log.Info("node stops", "node", cfg.ID)
	stopping, cancel := graceful(ctx)
	defer cancel()
	return n.Close(stopping)
}
