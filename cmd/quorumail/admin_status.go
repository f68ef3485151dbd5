package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// statusJSON is what "admin status --json" prints. Fields are only ever added.
type statusJSON struct {
	Nodes []statusNode `json:"nodes"`
}

// statusNode is one node in statusJSON.
type statusNode struct {
	ID       string          `json:"id"`
	Address  string          `json:"address"`
	Error    string          `json:"error,omitempty"` // why the node did not answer
	Replicas []statusReplica `json:"replicas"`
}

// statusReplica is one replica in statusJSON. Shard 0 is the directory.
type statusReplica struct {
	Shard        uint32 `json:"shard"`
	Role         string `json:"role"`
	Term         uint64 `json:"term"`
	AppliedIndex uint64 `json:"applied_index"`
	LastLogIndex uint64 `json:"last_log_index"`
	Leader       string `json:"leader,omitempty"`
	Error        string `json:"error,omitempty"`
}

// locateJSON is what "admin locate --json" prints.
type locateJSON struct {
	Account string `json:"account"`
	Slot    uint16 `json:"slot"`
	Shard   uint32 `json:"shard"`
	Leader  string `json:"leader"` // empty while there is none
}

func newAdminStatus(flags *adminFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the replicas of all nodes",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.withCluster(cmd, func(ctx context.Context, c *cluster) error {
				st := statusOf(c.status(ctx))
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(st)
				}
				return printStatus(cmd.OutOrStdout(), st)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// statusOf turns what nodes reported into what is printed.
func statusOf(reports []nodeReport) statusJSON {
	var st statusJSON
	for _, n := range reports {
		sn := statusNode{ID: n.id, Address: n.address, Replicas: []statusReplica{}}
		if n.err != nil {
			sn.Error = n.err.Error()
		}
		for _, r := range n.replicas {
			sn.Replicas = append(sn.Replicas, statusReplica{
				Shard: r.GetShard(), Role: r.GetRole(), Term: r.GetTerm(),
				AppliedIndex: r.GetAppliedIndex(), LastLogIndex: r.GetLastLogIndex(),
				Leader: r.GetLeader(), Error: r.GetError(),
			})
		}
		st.Nodes = append(st.Nodes, sn)
	}
	return st
}

func printStatus(w io.Writer, st statusJSON) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NODE\tADDRESS\tSHARD\tROLE\tTERM\tAPPLIED\tLOG\tLEADER\tERROR")
	for _, n := range st.Nodes {
		if n.Error != "" {
			fmt.Fprintf(tw, "%s\t%s\t\t\t\t\t\t\t%s\n", n.ID, n.Address, n.Error)
		}
		for _, r := range n.Replicas {
			shard := fmt.Sprint(r.Shard)
			if r.Shard == 0 {
				shard = "directory"
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", n.ID, n.Address, shard, r.Role, r.Term, r.AppliedIndex, r.LastLogIndex, r.Leader, r.Error)
		}
	}
	return tw.Flush()
}

func newAdminLocate(flags *adminFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "locate NAME",
		Short: "Show which shard holds an account and which node leads it",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := imapnum.AccountName(args[0])
			if err != nil {
				return usage(fmt.Errorf("%q: %w", args[0], err))
			}
			return flags.withCluster(cmd, func(ctx context.Context, c *cluster) error {
				slot := imapnum.SlotOf(name)
				shard := shardOf(c.m, uint32(slot))
				loc := locateJSON{Account: name, Slot: uint16(slot), Shard: shard, Leader: leader(c.status(ctx), shard)}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(loc)
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "account %s: slot %d, shard %d, leader %s\n", name, loc.Slot, loc.Shard, orNone(loc.Leader))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
