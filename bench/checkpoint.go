package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gray-runtime/gray/trainlib/checkpoint"
)

// checkpointTurns is how often gray and the peer take turns.
const checkpointTurns = 3

// checkpointPeer is what the peer's script prints.
type checkpointPeer struct {
	Results []struct {
		Format string
		Write  float64 `json:"write_GBps"`
		Synced float64 `json:"write+fsync_GBps"`
		Read   float64 `json:"read_GBps"`
	}
}

// benchCheckpoint measures 400 MB of float32 in ten tensors: written into the page cache, and to the disk, and read
// from the page cache with every byte looked at: by gray to check its sum, by safetensors to sum up values.
func benchCheckpoint(ctx context.Context, b *bench) error {
	turns := checkpointTurns
	if b.quick {
		turns = 1
	}
	const tensors, mb = 10, 400
	var all []checkpoint.Tensor
	for i := range tensors {
		x := make([]float32, mb*1_000_000/4/tensors)
		for k := range x {
			x[k] = rand.Float32()
		}
		all = append(all, checkpoint.Of(fmt.Sprintf("layer%d.weight", i), []int{len(x)}, x))
	}
	dir, err := os.MkdirTemp("", "graycheckpoint")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var write, synced, read versus
	for range turns {
		ours, err := checkpointTurn(ctx, dir, all, mb/1000.0)
		if err != nil {
			return err
		}
		write.ours, synced.ours, read.ours = append(write.ours, ours[0]), append(synced.ours, ours[1]), append(read.ours, ours[2])
		if b.train.python == "" {
			continue
		}
		var peer checkpointPeer
		if err := b.train.ask(ctx, &peer, "checkpoint_torch.py", "--dir", dir); err != nil {
			return err
		}
		for _, r := range peer.Results {
			if r.Format == "safetensors" {
				write.theirs, synced.theirs, read.theirs = append(write.theirs, r.Write), append(synced.theirs, r.Synced), append(read.theirs, r.Read)
			}
		}
	}
	write.peer, synced.peer, read.peer = "safetensors", "safetensors", "safetensors"
	write.report(b, "checkpoint_400MB_write", "GB/s", 1, 1)
	synced.report(b, "checkpoint_400MB_write_synced", "GB/s", 1, 1)
	read.report(b, "checkpoint_400MB_read_checked", "GB/s", 1, 1)
	return nil
}

// checkpointTurn returns GB/s of the medians of five.
func checkpointTurn(ctx context.Context, dir string, tensors []checkpoint.Tensor, gb float64) (rates [3]float64, err error) {
	var took [3][]float64
	for range 5 {
		path := filepath.Join(dir, "x.safetensors")
		for i, d := range []checkpoint.Durability{checkpoint.Cached, checkpoint.Synced} {
			_ = os.Remove(path)
			begin := time.Now()
			if err := checkpoint.WriteFile(ctx, path, tensors, nil, d); err != nil {
				return rates, err
			}
			took[i] = append(took[i], gb/time.Since(begin).Seconds())
		}
		begin := time.Now()
		f, err := checkpoint.OpenFile(path)
		if err != nil {
			return rates, err
		}
		err = f.Verify(ctx)
		took[2] = append(took[2], gb/time.Since(begin).Seconds())
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return rates, err
		}
	}
	for i := range rates {
		rates[i] = median(took[i])
	}
	return rates, nil
}
