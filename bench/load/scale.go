package load

import (
	"fmt"
	"time"
)

// Scale says how much each scenario does.
type Scale struct {
	// Name is that of the flag.
	Name string
	// Rounds is how often each scenario is run against each server.
	Rounds int
	// Clients is how many connections append and store at the same time, for
	// Duration or MaxOps operations a round.
	Clients  int
	Duration time.Duration
	MaxOps   int64
	// FetchFlags and FetchEnvelope are messages of one FETCH; Fetches is how
	// often it is done in a round.
	FetchFlags, FetchEnvelope, Fetches int
	// Bodies is how many messages of 64 KiB are read in a round, HugeBodies of
	// HugeSize octets.
	Bodies, HugeBodies, HugeSize int
	// Large is the messages of the mailbox that is selected; Selects is how often
	// in a round; Few is the small mailbox that QRESYNC is compared with.
	Large, Selects, Few int
	// Resyncs is how often in a round 100 changes are made and resynchronised.
	Resyncs int
	// Deliveries is how many messages are delivered to an idle session in a round.
	Deliveries int
	// Idle is how many idle sessions are opened, each with a mailbox of
	// IdleMessages selected; Settle is how long they rest before memory is read.
	Idle, IdleMessages int
	Settle             time.Duration
	// Shards are the numbers of shards of idle clusters, which are watched for
	// ShardIdle and then lose Kills leaders. None: there is no such trial.
	Shards    []int
	ShardIdle time.Duration
	Kills     int
	// Restart is how many octets of mail a node holds that is restarted Restarts
	// times; 0: there is no such trial.
	Restart  int64
	Restarts int
}

// Scales returns the scales by name: small is for a look; goal has the sizes that the
// project's goals are stated for, in rounds that are as short as may be; full has the
// same sizes in long rounds.
func Scales() map[string]Scale {
	return map[string]Scale{
		"small": {
			Name: "small", Rounds: 2, Clients: 64, Duration: 4 * time.Second, MaxOps: 20_000,
			FetchFlags: 20_000, FetchEnvelope: 2_000, Fetches: 3, Bodies: 400, HugeBodies: 3, HugeSize: 25 << 20,
			Large: 20_000, Selects: 10, Few: 1_000, Resyncs: 5, Deliveries: 30,
			Idle: 1_000, IdleMessages: 10_000, Settle: 2 * time.Second,
			Shards: []int{16}, ShardIdle: 10 * time.Second, Kills: 2, Restart: 256 << 20, Restarts: 2,
		},
		"goal": {
			Name: "goal", Rounds: 2, Clients: 64, Duration: 8 * time.Second, MaxOps: 50_000,
			FetchFlags: 100_000, FetchEnvelope: 10_000, Fetches: 3, Bodies: 6_000, HugeBodies: 10, HugeSize: 25 << 20,
			Large: 1_000_000, Selects: 5, Few: 1_000, Resyncs: 3, Deliveries: 100,
			Idle: 20_000, IdleMessages: 10_000, Settle: 15 * time.Second,
			Shards: []int{64, 256}, ShardIdle: 30 * time.Second, Kills: 4, Restart: 10 << 30, Restarts: 2,
		},
		"full": {
			Name: "full", Rounds: 3, Clients: 64, Duration: 20 * time.Second, MaxOps: 200_000,
			FetchFlags: 100_000, FetchEnvelope: 10_000, Fetches: 5, Bodies: 20_000, HugeBodies: 20, HugeSize: 25 << 20,
			Large: 1_000_000, Selects: 20, Few: 1_000, Resyncs: 10, Deliveries: 200,
			Idle: 20_000, IdleMessages: 10_000, Settle: 2 * time.Minute,
			Shards: []int{64, 256}, ShardIdle: 2 * time.Minute, Kills: 20, Restart: 10 << 30, Restarts: 5,
		},
	}
}

// ScaleOf returns the scale of a name.
func ScaleOf(name string) (Scale, error) {
	s, ok := Scales()[name]
	if !ok {
		return Scale{}, fmt.Errorf("scale %q: want small, goal or full", name)
	}
	return s, nil
}
