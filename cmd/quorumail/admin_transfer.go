package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func newAdminTransfer(flags *adminFlags) *cobra.Command {
	var shard uint32
	var to string
	cmd := &cobra.Command{
		Use:   "transfer-leader --shard N [--to NODE]",
		Short: "Hand the leadership of a shard to another replica",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("shard") {
				return usage(errors.New("--shard is needed; 0 is the directory"))
			}
			return flags.withCluster(cmd, func(ctx context.Context, c *cluster) error {
				from := leader(c.status(ctx), shard)
				if from == "" {
					return fmt.Errorf("transfer leader: shard %d: it has no leader", shard)
				}
				admin, err := c.admin(from)
				if err != nil {
					return err
				}
				if _, err := admin.TransferLeadership(ctx, &pb.TransferLeadershipRequest{Shard: shard, To: to}); err != nil {
					return fmt.Errorf("transfer leader: shard %d: from %s: %w", shard, from, err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "shard %d: %s has handed over\n", shard, from)
				return err
			})
		},
	}
	cmd.Flags().Uint32Var(&shard, "shard", 0, "the shard's `number`")
	cmd.Flags().StringVar(&to, "to", "", "the `node` to lead it; default any that is up to date")
	return cmd
}
