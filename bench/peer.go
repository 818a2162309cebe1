package main

import (
	"context"
	_ "embed" // moreScript
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Ratio is one line of comparison.
type Ratio struct {
	Metric string  `json:"metric"`
	Gray   float64 `json:"gray"`
	Ray    float64 `json:"ray"`
	Unit   string  `json:"unit"`
	Times  float64 `json:"times_better"`
	Floor  float64 `json:"floor,omitempty"`
	Goal   float64 `json:"goal,omitempty"`
}

// comparison names a metric here, the peer's, and what is aimed for.
type comparison struct {
	gray, ray   string
	less        bool // less is better
	floor, goal float64
}

var comparisons = []comparison{
	{"task_noop_async_10k", "task_noop_async_10k", false, 30, 100},
	{"task_noop_sync_p50", "task_noop_sync_p50", true, 10, 25},
	{"task_noop_sync_p99", "task_noop_sync_p99", true, 10, 25},
	{"task_arg_1KiB_async", "task_arg_1KiB_async", false, 0, 0},
	{"nested_2_parents_x_1000_children", "nested_2_parents_x_1000_children", false, 0, 0},
	{"streaming_generator_1000_items", "streaming_generator_1000_items", false, 0, 0},
	{"streaming_generator_100k_items", "streaming_generator_100k_items", false, 20, 60},
	{"task_worker_kill9_until_retried_and_done", "task_worker_kill9_until_retried_and_done", true, 5, 20},
	{"actor_1to1_async", "actor_1to1_async", false, 20, 50},
	{"actor_1to1_sync_p50", "actor_1to1_sync_p50", true, 8, 16},
	{"actor_create_one_until_first_reply", "actor_create_one_until_first_reply", true, 0, 0},
	{"actor_create_100", "actor_create_100", false, 10, 30},
	{"actor_4to4_async", "actor_4to4_async", false, 15, 40},
	{"actor_concurrency_100_async", "actor_concurrency_100_async", false, 20, 50},
	{"actor_crash_to_next_answer", "actor_kill9_until_next_call_answers", true, 5, 20},
	{"chain_1000_dependent_tasks", "chain_1000_dependent_tasks", true, 10, 30},
	{"queue_100k_total", "queue_100k_total", true, 20, 80},
	{"pg_1_bundle_create_wait_remove_per_s", "pg_1_bundle_create_wait_remove_per_s", false, 10, 50},
	{"pg_2_bundles_create_wait_remove_per_s", "pg_2_bundles_create_wait_remove_per_s", false, 10, 50},
	{"pg_create_wait_remove_resources_to_spare_per_s", "pg_create_wait_remove_resources_to_spare_per_s", false, 0, 0},
	{"pg_100_at_once_create_wait_remove", "pg_100_at_once_create_wait_remove", false, 10, 50},
	{"cold_start_head_command", "cold_ray_start_head_command", true, 5, 10},
	{"cold_start_head_to_first_task_result", "cold_ray_start_head_to_first_task_result", true, 5, 11},
	{"init_local_process_start_to_first_task", "ray_init_local_process_start_to_first_task", true, 0, 0},
	{"idle_pss_sum", "idle_pss_sum", true, 0, 0},
	{"job_submit_cli_until_succeeded", "job_submit_cli_until_succeeded", true, 0, 0},
	{"put_100MB", "put_100MB", false, 1, 0},
	{"put_1GB", "put_1GB", false, 1, 0},
	{"view_100MB", "get_100MB_zero_copy", true, 0, 0},
	{"view_1GB", "get_1GB_zero_copy", true, 0, 0},
	{"put_1KiB", "put_1KiB", false, 0, 0},
	{"get_1KiB_one_by_one", "get_1KiB_one_by_one", false, 0, 0},
	{putGet, putGet, false, 20, 50},
	{"task_with_10k_object_args", "task_with_10k_object_args", true, 20, 50},
	{"get_10k_refs_put_by_driver", "get_10k_refs_put_by_driver", true, 20, 50},
	{"get_10k_refs_of_task_results", "get_10k_refs_of_task_results", true, 20, 50},
	{"pull_1MB_between_nodes", "pull_1MB_between_nodes", false, 0, 0},
	{"pull_100MB_between_nodes", "pull_100MB_between_nodes", false, 0, 0},
	{"pull_1GB_between_nodes", "pull_1GB_between_nodes", false, 0, 0},
	{"broadcast_100MB_to_3_nodes", "broadcast_100MB_to_3_nodes", true, 0, 0},
	{"broadcast_1GB_to_3_nodes", "broadcast_1GB_to_3_nodes", true, 0, 0},
	{"spill_put_8x256MiB_into_1GiB_store", "spill_put_8x256MiB_into_1GiB_store", false, 0, 0},
	{"spill_get_8x256MiB_back", "spill_get_8x256MiB_back", false, 0, 0},
}

// raySections are those of the script that have what a section here has.
var raySections = map[string][]string{
	"tasks": {"tasks"}, "tasklife": {"tasks", "faults"}, "actors": {"actors"}, "lives": {"actors", "faults"}, "scale": {"scale"},
	"groups": {"scale"}, "cold": {"cold"}, "submit": {"jobs"},
	"objects": {"objects", "scale"}, "transfer": {"xnode"}, "spill": {"spill"},
}

// putGet is how many small values are put and read, one after another.
const putGet = "put_get_1KiB"

// withPutGet adds what the peer's puts and gets make together.
func withPutGet(metrics []Metric) []Metric {
	seconds := 0.0
	for _, name := range []string{"put_1KiB", "get_1KiB_one_by_one"} {
		i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Metric == name })
		if i < 0 {
			return metrics
		}
		seconds += 1 / metrics[i].Value
	}
	return append(metrics, Metric{Metric: putGet, Value: 1 / seconds, Unit: "1/s"})
}

// compareRay measures Ray now, on the same machine, and prints the ratios.
func compareRay(ctx context.Context, b *bench, python, script string, chosen []string) error {
	var names []string
	for _, s := range chosen {
		for _, name := range raySections[s] {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "raybench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	metrics, err := runRay(ctx, b, python, script, filepath.Join(dir, "ray.json"), "--limit", "600", "--sections", strings.Join(names, ","))
	if err != nil {
		return err
	}
	if slices.Contains(chosen, "lives") || slices.Contains(chosen, "tasklife") {
		more := filepath.Join(dir, "more.py")
		if err := os.WriteFile(more, moreScript, 0o600); err != nil {
			return err
		}
		rest, err := runRay(ctx, b, python, more, filepath.Join(dir, "more.json"))
		if err != nil {
			return err
		}
		metrics = append(metrics, rest...)
	}
	metrics = withPutGet(metrics)
	for _, c := range comparisons {
		g := slices.IndexFunc(b.metrics, func(m Metric) bool { return m.Metric == c.gray })
		r := slices.IndexFunc(metrics, func(m Metric) bool { return m.Metric == c.ray })
		if g < 0 || r < 0 {
			continue
		}
		ratio := Ratio{Metric: c.gray, Gray: b.metrics[g].Value, Ray: metrics[r].Value, Unit: b.metrics[g].Unit, Floor: c.floor, Goal: c.goal}
		ratio.Times = ratio.Gray / ratio.Ray
		if c.less {
			ratio.Times = ratio.Ray / ratio.Gray
		}
		_ = b.out.Encode(ratio)
	}
	return nil
}

// moreScript measures what the given script doesn't.
//
//go:embed ray_more.py
var moreScript []byte

// runRay runs a script that writes what it has measured to a file.
func runRay(ctx context.Context, b *bench, python, script, file string, args ...string) ([]Metric, error) {
	args = append([]string{script, "--json", file}, args...)
	if b.quick {
		args = append(args, "--quick")
	}
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Stderr = os.Stderr
	runErr := cmd.Run() // some sections may have failed; what was measured counts
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("measure Ray: %w", runErr)
	}
	var doc struct{ Metrics []Metric }
	err = decode(file, data, &doc)
	return doc.Metrics, err
}
