"""What gray's benchmark compares and the peers' script doesn't measure: Ray's calls
among several actors, calls of an asyncio actor, and a long stream.

    python ray_more.py --json out.json [--quick]

Writes {"metrics": [{metric, value, unit, n}]}; a value is the median of the runs.
"""
import argparse
import asyncio
import json
import statistics
import time

import ray


@ray.remote(num_cpus=0)
class Target:
    def noop(self):
        return None


@ray.remote(num_cpus=0)
class Caller:
    def __init__(self, targets):
        self.targets = targets

    def call(self, n):
        ray.get([self.targets[i % len(self.targets)].noop.remote() for i in range(n)])


@ray.remote(num_cpus=0, max_concurrency=100)
class Async:
    async def noop(self):
        await asyncio.sleep(0)


@ray.remote(num_returns="streaming")
def stream(n):
    for i in range(n):
        yield i


def rate(metrics, name, n, fn, runs):
    fn()
    rates = []
    for _ in range(runs):
        began = time.perf_counter()
        fn()
        rates.append(n / (time.perf_counter() - began))
    metrics.append({"metric": name, "value": statistics.median(rates), "unit": "1/s", "n": n})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json", required=True)
    p.add_argument("--quick", action="store_true")
    a = p.parse_args()
    runs = 1 if a.quick else 3
    metrics = []
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    targets = [Target.remote() for _ in range(4)]
    callers = [Caller.remote(targets) for _ in range(4)]
    ray.get([t.noop.remote() for t in targets])
    rate(metrics, "actor_4to4_async", 20_000, lambda: ray.get([c.call.remote(5_000) for c in callers]), runs)

    actor = Async.remote()
    rate(metrics, "actor_concurrency_100_async", 5_000, lambda: ray.get([actor.noop.remote() for _ in range(5_000)]), runs)

    n = 20_000 if a.quick else 100_000
    rate(metrics, "streaming_generator_100k_items", n, lambda: [ray.get(r) for r in stream.remote(n)], 1)

    ray.shutdown()
    with open(a.json, "w") as f:
        json.dump({"metrics": metrics}, f)


if __name__ == "__main__":
    main()
