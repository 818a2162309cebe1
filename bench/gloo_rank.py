"""One of two ranks of torch's gloo: times allreduces, and prints one JSON object.
usage: gloo_rank.py RANK HOST:PORT SECONDS SIZE..."""
import json, statistics, sys, time
import torch, torch.distributed as dist

rank, address, seconds, sizes = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), [int(x) for x in sys.argv[4:]]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="tcp://" + address, rank=rank, world_size=2)
results = []
for size in sizes:
    x = torch.full((size // 4,), float(rank + 1))
    dist.all_reduce(x)
    assert float(x[0]) == 3 and float(x[-1]) == 3
    x.zero_()
    dist.barrier(); began = time.perf_counter()
    for _ in range(3): dist.all_reduce(x)
    once = torch.tensor([(time.perf_counter() - began) / 3])
    dist.all_reduce(once, op=dist.ReduceOp.MAX)
    inner = max(1, min(5000, int(seconds / 10 / float(once[0]))))
    took = []
    for _ in range(max(5, min(15, int(seconds / float(once[0]) / inner)))):
        dist.barrier(); began = time.perf_counter()
        for _ in range(inner): dist.all_reduce(x)
        took.append((time.perf_counter() - began) / inner * 1e6)
    results.append({"bytes": size, "us": statistics.median(took)})
if rank == 0: print(json.dumps({"results": results}))
dist.barrier(); dist.destroy_process_group()
