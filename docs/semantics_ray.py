"""Tries the rows of semantics.md on real Ray, and prints what each showed.

    python3 -m venv ENV && ENV/bin/pip install "ray[default]==2.60.*" numpy
    ENV/bin/python docs/semantics_ray.py [--json FILE] [ID ...]

One function a row, named for its id; what it returns is what was seen. Rows of one
node share a Ray of 2 CPUs and 2 pretended GPUs; those of several nodes share a
cluster of raylets, and come last. Rows that Ray has no counterpart of aren't here.
"""
import argparse
import collections
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
import numpy as np
import ray
import psutil  # which Ray brings along
from ray.exceptions import GetTimeoutError
from ray.util.placement_group import get_placement_group, placement_group, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy as InGroup

ROWS, CLUSTER_ROWS = {}, {}


def row(f):
    ROWS[f.__name__.upper()] = f
    return f


def cluster_row(f):
    CLUSTER_ROWS[f.__name__.upper()] = f
    return f


def seen(ref, timeout=15):
    """What ray.get gives: a value or the error's type and first line."""
    try:
        return repr(ray.get(ref, timeout=timeout))
    except BaseException as e:
        return said(e)


def said(e):
    text = str(e).strip().splitlines() or [""]
    last = text[-1] if text[-1] != text[0] else ""
    kinds = [c.__name__ for c in type(e).__mro__[:2]]
    return f"{'/'.join(kinds)}: {text[0][:110]} … {last[:110]}"


def raises(f):
    try:
        return repr(f())
    except BaseException as e:
        return said(e)


def folder():
    return tempfile.mkdtemp(prefix="sem")


def mark(d, name):
    open(os.path.join(d, name), "a").write("x")


def marks(d, name):
    p = os.path.join(d, name)
    return os.path.getsize(p) if os.path.exists(p) else 0


def until(f, limit=10):
    end = time.time() + limit
    while not f():
        if time.time() > end:
            return False
        time.sleep(0.01)
    return True


def shoot(d):
    """Ends the process of a stream that its consumer has left, which may go on for ever."""
    os.kill(int(open(os.path.join(d, "pid")).read()), signal.SIGKILL)


@ray.remote
def square(x):
    return x * x


@ray.remote
def gate(d, name="begun"):
    mark(d, name)
    while not os.path.exists(os.path.join(d, "go")):
        time.sleep(0.01)
    return 1


@ray.remote
def fails(d, text):
    mark(d, "runs")
    raise ValueError(text)


@ray.remote
def crashes(d, times, code=3):
    mark(d, "runs")
    if marks(d, "runs") <= times:
        os._exit(code)
    return marks(d, "runs")


@ray.remote
class Counter:
    def __init__(self, d=None, fail=None, n=0):
        self.n, self.seen, self.kept = n, [], None
        if d:
            mark(d, "made")
        if fail == "error":
            raise ValueError("no counter")
        if fail == "exit" or (fail == "exit once" and marks(d, "made") == 1):
            os._exit(4)
        if fail == "slow":
            while not os.path.exists(os.path.join(d, "go")):
                time.sleep(0.01)

    def add(self, x):
        self.n += x
        self.seen.append(x)
        return self.n

    def order(self):
        return self.seen

    def fail(self):
        raise ValueError("no")

    def exit(self, code, d=None):
        if d:
            mark(d, "calls")
        os._exit(code)

    def exit_once(self, d):
        mark(d, "calls")
        if marks(d, "calls") == 1:
            os._exit(3)
        return marks(d, "calls")

    def leave(self):
        ray.actor.exit_actor()

    def pid(self):
        return os.getpid()

    def node(self):
        return ray.get_runtime_context().get_node_id()

    def wait(self, d):
        mark(d, "begun")
        while not os.path.exists(os.path.join(d, "go")):
            time.sleep(0.01)
        return 1

    def both(self, d, n):
        mark(d, "in")
        ok = until(lambda: marks(d, "in") >= n, 2)
        return ok

    def bad(self):
        return threading.Lock()

    def keep(self, refs):
        self.kept = refs[0]

    def kept_size(self):
        return len(ray.get(self.kept))

    def gpu(self):
        return os.environ.get("CUDA_VISIBLE_DEVICES"), ray.get_gpu_ids()


# ---- tasks


@row
def t01():
    d = folder()
    busy = [gate.remote(d) for _ in range(2)]
    until(lambda: marks(d, "begun") == 2)
    t = time.time()
    r = square.remote(2)
    took = time.time() - t
    ready, _ = ray.wait([r], timeout=0)
    mark(d, "go")
    return f"returned in {took * 1000:.1f} ms, complete: {bool(ready)}, later {seen(r)}, {ray.get(busy)}"


@row
def t02():
    return seen(fails.remote(folder(), "bad input"))


@row
def t03():
    d = folder()
    return seen(fails.options(max_retries=5).remote(d, "no")) + f"; runs {marks(d, 'runs')}"


@row
def t04():
    @ray.remote(num_cpus=2)
    def pid(fail):
        if fail:
            raise ValueError(str(os.getpid()))
        return os.getpid()
    e = raises(lambda: ray.get(pid.remote(True)))
    return f"same process after: {str(ray.get(pid.remote(False))) in e}"


@row
def t05():
    d = folder()
    s = seen(crashes.remote(d, 9), 60)
    return f"{s}; runs {marks(d, 'runs')}"


@row
def t06():
    d = folder()
    s = seen(crashes.options(max_retries=0).remote(d, 9))
    return f"{s}; runs {marks(d, 'runs')}"


@row
def t07():
    return "runs " + seen(crashes.options(max_retries=-1).remote(folder(), 5), 60)


@row
def t08():
    d = folder()
    s = seen(crashes.options(max_retries=1).remote(d, 1, 0), 60)

    @ray.remote(max_retries=0)
    def sys_exit():
        sys.exit(0)
    return f"os._exit(0): {s}; runs {marks(d, 'runs')}; sys.exit(0): {seen(sys_exit.remote())}"


@row
def t09():
    @ray.remote(max_retries=0)
    def shoots():
        os.kill(os.getpid(), signal.SIGKILL)
    return seen(shoots.remote())


@row
def t10():
    refs = []
    for i in range(100):
        if i % 25 == 12:
            crashes.options(max_retries=0).remote(folder(), 9)
        refs.append(square.options(max_retries=0).remote(i))
    lost = sum("Error" in seen(r, 60) for r in refs)
    return f"{lost} of 100 neighbours without retries failed"


class Chosen(Exception):
    pass


@ray.remote
def chooses(d, times, other=False):
    mark(d, "runs")
    if marks(d, "runs") <= times:
        raise (KeyError("other") if other else Chosen(f"run {marks(d, 'runs')}"))
    return marks(d, "runs")


@row
def t11():
    return "runs " + seen(chooses.options(retry_exceptions=[Chosen]).remote(folder(), 2))


@row
def t12():
    d = folder()
    return seen(chooses.options(retry_exceptions=[Chosen]).remote(d, 9, True)) + f"; runs {marks(d, 'runs')}"


@row
def t13():
    d = folder()
    return seen(chooses.options(retry_exceptions=[Chosen], max_retries=2).remote(d, 9)) + f"; runs {marks(d, 'runs')}"


@row
def t14():
    @ray.remote(max_retries=2, retry_exceptions=[Chosen])
    def mixed(d):
        mark(d, "runs")
        if marks(d, "runs") == 1:
            os._exit(1)
        raise Chosen(f"run {marks(d, 'runs')}")
    d = folder()
    return seen(mixed.remote(d), 60) + f"; runs {marks(d, 'runs')}"


@row
def t15():
    d, e = folder(), folder()
    busy = gate.options(num_cpus=2).remote(d)
    until(lambda: marks(d, "begun"))
    r = gate.options(num_cpus=2).remote(e)
    time.sleep(0.1)
    ray.cancel(r)
    s = seen(r)
    mark(d, "go")
    ray.get(busy)
    return f"{s}; ran {marks(e, 'begun')}"


@row
def t16():
    d = folder()
    first = gate.remote(d)
    r = square.remote(first)
    ray.cancel(r)
    s = seen(r, 3)
    mark(d, "go")
    return f"{s}; its input {seen(first)}"


@row
def t17():
    d = folder()
    r = gate.remote(d)
    until(lambda: marks(d, "begun"))
    ray.cancel(r)
    return seen(r)


@row
def t18():
    @ray.remote
    def ignores(d):
        while True:
            try:
                mark(d, "begun")
                while not os.path.exists(os.path.join(d, "go")):
                    time.sleep(0.01)
                return 5
            except KeyboardInterrupt:
                mark(d, "asked")
    d = folder()
    r = ignores.remote(d)
    until(lambda: marks(d, "begun"))
    ray.cancel(r)
    until(lambda: marks(d, "asked"), 3)
    at_once = seen(r, 2)
    mark(d, "go")
    return f"while it goes on: {at_once}; then: {seen(r)}"


@row
def t19():
    d = folder()
    r = gate.remote(d)
    until(lambda: marks(d, "begun"))
    ray.cancel(r, force=True)
    return seen(r) + f"; runs {marks(d, 'begun')}"


@ray.remote
def descend(d, n):
    try:
        mark(d, f"begun{n}")
        if n == 0:
            while True:
                time.sleep(0.01)
        return ray.get(descend.remote(d, n - 1))
    except BaseException:
        mark(d, f"ended{n}")
        raise


@row
def t20():
    d = folder()
    r = descend.remote(d, 2)
    until(lambda: marks(d, "begun0"))
    ray.cancel(r)
    s = seen(r)
    ok = until(lambda: marks(d, "ended0"), 5)
    return f"{s}; grandchild ended: {ok}"


@row
def t21():
    r = square.remote(3)
    ray.get(r)
    return f"cancel: {raises(lambda: ray.cancel(r))}; {seen(r)}"


@row
def t22():
    d = folder()
    r = gate.remote(d)
    after = square.remote(r)
    until(lambda: marks(d, "begun"))
    ray.cancel(r)
    return seen(after)


@row
def t23():
    d = folder()
    r = crashes.options(max_retries=-1).remote(d, 1 << 30)
    until(lambda: marks(d, "runs") > 1)
    ray.cancel(r)
    s = seen(r, 10)
    n = marks(d, "runs")
    time.sleep(2)
    return f"{s}; runs after that: {marks(d, 'runs') - n}"


@row
def t24():
    @ray.remote(num_cpus=0)
    def cancels(refs):
        return raises(lambda: ray.cancel(refs[0]))
    d = folder()
    r = gate.remote(d)
    until(lambda: marks(d, "begun"))
    s = ray.get(cancels.remote([r]))
    t = seen(r, 2)
    mark(d, "go")
    return f"cancel said {s}; the task: {t}"


@row
def t26():
    d = folder()
    r = gate.remote(d)
    s = seen(r, 0.2)
    mark(d, "go")
    return f"{s}; later {seen(r)}"


@row
def t27():
    @ray.remote(num_cpus=2)
    def deep(n):
        return 0 if n == 0 else 1 + ray.get(deep.remote(n - 1))
    return "depth " + seen(deep.remote(5), 60)


@row
def t28():
    d = folder()
    @ray.remote
    def middle(x):
        mark(d, "middle")
    r = middle.remote(middle.remote(fails.remote(d, "upstream")))
    return seen(r) + f"; those between ran {marks(d, 'middle')} times"


@row
def t29():
    @ray.remote
    def last(x):
        pass
    e = raises(lambda: ray.get(last.remote(last.remote(fails.remote(folder(), "upstream")))))
    return f"names the tasks between: {'last' in e}; {e}"


@row
def t30():
    @ray.remote(num_cpus=2)
    def gives(bad):
        return {"in": threading.Lock()} if bad else os.getpid()
    a = ray.get(gives.remote(False))
    s = seen(gives.remote(True))
    return f"{s}; process lives: {a == ray.get(gives.remote(False))}"


@row
def t31():
    return "at .remote(): " + raises(lambda: square.remote(threading.Lock()))


@row
def t32():
    return seen(square.remote(square.remote(2)))


@row
def t33():
    @ray.remote(num_cpus=0)
    def kind(x):
        return type(x[0]).__name__
    d = folder()
    r = gate.remote(d)
    s = seen(kind.remote([r]), 5)
    mark(d, "go")
    return f"begins while the inner one runs, and sees {s}"


@row
def t34():
    d = folder()
    mark(d, "go")
    gate.remote(d)
    gc.collect()
    return f"ran: {until(lambda: marks(d, 'begun'))}"


@row
def t35():
    @ray.remote(num_returns=2)
    def two(n):
        return list(range(n))
    a, b = two.remote(2)
    c, _ = two.remote(3)
    return f"{seen(a)} {seen(b)}; of the wrong number: {seen(c)}"


@row
def t36():
    d = folder()
    busy = gate.options(num_cpus=2).remote(d)
    until(lambda: marks(d, "begun"))
    s = seen(square.options(num_cpus=0).remote(3), 10)
    mark(d, "go")
    ray.get(busy)
    return s


@ray.remote
def env(name):
    return os.environ.get(name)


@row
def t37():
    return seen(env.options(runtime_env={"env_vars": {"SEM": "1"}}).remote("SEM"), 60)


@row
def t38():
    one = env.options(runtime_env={"env_vars": {"SEM": "1"}}).remote("SEM")
    return f"{seen(one, 60)}, a task without it after: {seen(env.remote('SEM'))}"


@row
def t39():
    return seen(fails.options(name="parse").remote(folder(), "no"))


@row
def t40():
    return raises(lambda: square.options(max_restarts=1)) + " | " + raises(lambda: square.options(num_cpus=-1))


@ray.remote(num_returns="streaming")
def flow(d, n, fail=False, crash_at=None):
    for i in range(n):
        if crash_at == i and not os.path.exists(os.path.join(d, "crashed")):
            mark(d, "crashed")
            time.sleep(0.5)
            os._exit(1)
        mark(d, "made")
        yield i
    if fail:
        raise ValueError("dry")
    mark(d, "end")


@row
def t41():
    @ray.remote(num_returns="streaming")
    def slow(d):
        yield 1
        while not os.path.exists(os.path.join(d, "go")):
            time.sleep(0.01)
        yield 2
    d = folder()
    g = slow.remote(d)
    first = ray.get(next(g))
    mark(d, "go")
    return f"{first} before the end, then {[ray.get(r) for r in g]}"


@row
def t42():
    @ray.remote(num_returns="streaming", max_retries=0)
    def forever(d):
        open(os.path.join(d, "pid"), "w").write(str(os.getpid()))
        try:
            for i in range(1 << 30):
                mark(d, "made")
                yield i
                time.sleep(0.001)
        finally:
            mark(d, "ended")
    d = folder()
    for _ in forever.remote(d):
        break
    gc.collect()
    ended = until(lambda: marks(d, "ended"), 5)
    n = marks(d, "made")
    time.sleep(0.5)
    more = marks(d, "made") - n
    busy = seen(square.options(num_cpus=2).remote(1), 3)
    shoot(d)
    return f"ended: {ended}; made {n}, in the next half second {more} more; both CPUs free: {busy}"


@row
def t43():
    d = folder()
    g = flow.remote(d, 1000)
    ray.get(next(g))
    until(lambda: marks(d, "end"), 5)
    return f"one item taken, {marks(d, 'made')} of 1000 made"


@row
def t44():
    out = []
    for r in flow.remote(folder(), 3, True):
        out.append(seen(r))
    return f"{out}"


@row
def t45():
    d = folder()
    got = [raises(lambda: ray.get(r)) for r in flow.remote(d, 10, False, 5)]
    return f"{got}, made {marks(d, 'made')}"


@row
def t46():
    @ray.remote(num_returns="streaming")
    def bad():
        yield 1
        yield threading.Lock()
    return f"{[seen(r) for r in bad.remote()]}"


@row
def t47():
    d = folder()
    @ray.remote(num_returns="streaming", max_retries=0, _generator_backpressure_num_objects=2)
    def flows():
        open(os.path.join(d, "pid"), "w").write(str(os.getpid()))
        try:
            for i in range(100000):
                mark(d, "made")
                yield i
        finally:
            mark(d, "ended")
    g = flows.remote()
    until(lambda: marks(d, "made") >= 2)
    del g
    gc.collect()
    ok = until(lambda: marks(d, "ended"), 5)
    free = seen(square.options(num_cpus=2).remote(1), 3)
    shoot(d)
    return f"ended: {ok}; made {marks(d, 'made')}; both CPUs free: {free}"


@row
def t49():
    d = [square.remote(i) for i in range(5000)]
    return f"{ray.get(d) == [i * i for i in range(5000)]}"


@row
def t50():
    @ray.remote(num_cpus=0.5)
    def me():
        c = ray.get_runtime_context()
        return bool(c.get_task_id()), c.get_node_id() == here, c.get_assigned_resources(), c.get_actor_id()
    here = ray.get_runtime_context().get_node_id()
    return seen(me.remote())


# ---- actors


@row
def a01():
    d = folder()
    t = time.time()
    a = Counter.remote(d, "slow")
    r = a.add.remote(1)
    took = time.time() - t
    mark(d, "go")
    return f"both returned in {took * 1000:.1f} ms, then {seen(r)}"


@row
def a02():
    a = Counter.remote()
    d = folder()
    late = gate.remote(d)
    a.add.remote(late)
    a.add.remote(2)
    time.sleep(0.5)
    mark(d, "go")
    return "order of calls with input of later, then of now: " + seen(a.order.remote())


@row
def a03():
    a = Counter.remote(None, "error")

    @ray.remote
    def other(h):
        return seen(h.add.remote(1))
    return f"{seen(a.add.remote(1))} | again: {seen(a.add.remote(1))[:60]} | from a task: {ray.get(other.remote(a))[:60]}"


@row
def a05():
    d = folder()
    a = Counter.options(max_restarts=1).remote(d, "exit once")
    return f"{seen(a.add.remote(1), 30)}; constructed {marks(d, 'made')} times"


@row
def a06():
    d = folder()
    return seen(Counter.remote(d, "exit").add.remote(1), 30) + f"; constructed {marks(d, 'made')} times"


@row
def a07():
    d = folder()
    return seen(Counter.options(max_restarts=3).remote(d, "error").add.remote(1), 30) + f"; constructed {marks(d, 'made')} times"


@row
def a08():
    a = Counter.remote()
    a.add.remote(1)
    return f"{seen(a.fail.remote())}; after: {seen(a.add.remote(1))}"


@row
def a09():
    d = folder()
    a = Counter.options(max_restarts=1).remote()
    return seen(a.exit.remote(3, d)) + f"; ran {marks(d, 'calls')} times"


@row
def a10():
    a = Counter.options(max_restarts=1).remote(n=100)
    ray.get(a.add.remote(1))
    seen(a.exit.remote(3))
    return seen(a.add.remote(2), 30)


@row
def a11():
    a = Counter.options(max_restarts=1).remote()
    d = folder()
    w = a.wait.remote(d)
    rs = [a.exit.remote(3)] + [a.add.remote(1) for _ in range(3)]
    mark(d, "go")
    return f"before {seen(w)}; the crashing call and those behind it: {[seen(r, 30)[:40] for r in rs]}"


@row
def a12():
    d = folder()
    a = Counter.options(max_restarts=1, max_task_retries=1).remote()
    return seen(a.exit_once.remote(d), 30)


@row
def a13():
    d = folder()
    a = Counter.options(max_restarts=1, max_task_retries=-1).remote()
    a.exit_once.remote(d)
    for i in range(5):
        a.add.remote(i)
    return "those behind a retried call ran in the order " + seen(a.order.remote(), 30)


@row
def a14():
    a = Counter.options(max_restarts=1).remote()
    seen(a.exit.remote(3))
    s = seen(a.add.remote(1), 30)
    seen(a.exit.remote(5))
    return f"{s}, then {seen(a.add.remote(1), 30)}"


@row
def a15():
    a = Counter.options(max_restarts=1).remote()
    return f"{seen(a.exit.remote(0))}; after: {seen(a.add.remote(1), 30)}"


@row
def a16():
    a = Counter.options(max_restarts=-1).remote()
    d = folder()
    running, queued = a.wait.remote(d), a.add.remote(1)
    until(lambda: marks(d, "begun"))
    ray.kill(a)
    return " | ".join(seen(r)[:75] for r in (running, queued, a.add.remote(1)))


@row
def a17():
    d = folder()
    a = Counter.options(max_restarts=-1).remote(d, "slow")
    r = a.add.remote(1)
    until(lambda: marks(d, "made"))
    ray.kill(a)
    s = seen(r)
    time.sleep(1)
    return f"{s}; constructed {marks(d, 'made')} times"


@row
def a18():
    a = Counter.remote()
    ray.get(a.add.remote(1))
    ray.kill(a)
    return raises(lambda: ray.kill(a))


@row
def a19():
    a = Counter.options(max_restarts=1).remote(n=10)
    ray.get(a.add.remote(1))
    ray.kill(a, no_restart=False)
    def again():
        return raises(lambda: ray.get(a.add.remote(1), timeout=10))
    until(lambda: again() == "11", 10)
    b = Counter.options(max_restarts=0).remote()
    ray.get(b.add.remote(1))
    ray.kill(b, no_restart=False)
    return f"with a restart left {again()}; with none: {seen(b.add.remote(1))}"


@row
def a20():
    a = Counter.options(max_restarts=-1).remote()
    pid = ray.get(a.pid.remote())
    before, leave, behind = a.add.remote(1), a.leave.remote(), a.add.remote(1)
    s = f"before {seen(before)}; the call {seen(leave)}; behind {seen(behind)}"
    return s + f"; process gone: {until(lambda: not os.path.exists(f'/proc/{pid}'))}"


@row
def a21():
    a = Counter.remote()
    d = folder()
    w, q, last = a.wait.remote(d), a.add.remote(1), a.add.remote(5)
    until(lambda: marks(d, "begun"))
    ray.cancel(q)
    s = seen(q, 3)
    mark(d, "go")
    return f"while another runs: {s}; at last {seen(q)}; behind it {seen(last)}"


@row
def a22():
    a = Counter.remote()
    d = folder()
    w = a.wait.remote(d)
    until(lambda: marks(d, "begun"))
    c = raises(lambda: ray.cancel(w))
    s = seen(w, 2)
    mark(d, "go")
    f = raises(lambda: ray.cancel(w, force=True))
    return f"cancel: {c}; {s}; after: {seen(w)}; force: {f}"


@row
def a23():
    d = folder()
    a = Counter.options(max_concurrency=2).remote()
    two = ray.get([a.both.remote(d, 2) for _ in range(2)])
    e = folder()
    three = ray.get([a.both.remote(e, 3) for _ in range(2)] + [a.both.remote(folder(), 1)])
    return f"two together: {two}; a third: {three}"


@row
def a24():
    d = folder()
    a = Counter.remote()
    return f"{ray.get([a.both.remote(d, 2) for _ in range(2)])}"


@row
def a25():
    @ray.remote(concurrency_groups={"io": 1})
    class Grouped:
        @ray.method(concurrency_group="io")
        def io(self, d):
            while not os.path.exists(os.path.join(d, "go")):
                time.sleep(0.01)
            return "io"

        def plain(self):
            return "plain"
    a = Grouped.remote()
    d = folder()
    r = a.io.remote(d)
    s = seen(a.plain.remote(), 5)
    mark(d, "go")
    return f"while io runs: {s}; {seen(r)}; two of io one after another by its limit of 1"


@row
def a26():
    a = Counter.options(name="found").remote()

    @ray.remote
    def finds():
        return ray.get(ray.get_actor("found").add.remote(2))
    s = seen(finds.remote())
    ray.kill(a)
    return s


@row
def a27():
    a = Counter.options(name="taken").remote()
    ray.get(a.add.remote(1))
    s = raises(lambda: Counter.options(name="taken").remote())
    ray.kill(a)
    return s


@row
def a28():
    @ray.remote(num_cpus=0)
    def makes():
        try:
            a = Counter.options(name="raced", lifetime="detached").remote()
            ray.get(a.add.remote(1))
            return "made"
        except Exception as e:
            return type(e).__name__
    n = collections.Counter(ray.get([makes.remote() for _ in range(8)], timeout=60))
    ray.kill(ray.get_actor("raced"))
    return f"{dict(n)}"


@row
def a29():
    @ray.remote(num_cpus=0)
    def makes():
        a = Counter.options(name="shared", get_if_exists=True, lifetime="detached").remote()
        return ray.get(a.pid.remote())
    n = ray.get([makes.remote() for _ in range(8)], timeout=60)
    ray.kill(ray.get_actor("shared"))
    return f"{len(set(n))} processes for 8 callers"


@row
def a30():
    a = Counter.options(name="freed").remote()
    ray.get(a.add.remote(1))
    ray.kill(a)
    t = time.time()
    refused = []
    ok = until(lambda: "Error" not in raises(lambda: Counter.options(name="freed", lifetime="detached").remote()) or refused.append(1), 10)
    s = seen(ray.get_actor("freed").add.remote(1))
    ray.kill(ray.get_actor("freed"))
    return f"{ok} after {len(refused)} refusals, {time.time() - t:.2f} s: {s}"


@row
def a31():
    a = Counter.options(name="same", namespace="one").remote(n=1)
    b = Counter.options(name="same", namespace="two").remote(n=2)
    return f"{[seen(ray.get_actor('same', namespace=n).add.remote(0)) for n in ('one', 'two')]}; here: {raises(lambda: ray.get_actor('same'))}; {a != b}"


DRIVER = """
import os, sys, ray, time
ray.init(address="auto", namespace="{ns}", logging_level="ERROR")
@ray.remote
class A:
    def pid(self): return os.getpid()
    def give(self): return ray.put(b"x" * 1000000)
@ray.remote
def sleeps(d):
    open(os.path.join(d, "begun"), "w").write(str(os.getpid()))
    time.sleep(3600)
@ray.remote
def pid(): return os.getpid()
{body}
"""


def driver(body, ns="other", **kw):
    return subprocess.Popen([sys.executable, "-c", DRIVER.format(body=body, ns=ns)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **kw)


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().split()[2] != "Z"
    except OSError:
        return False


@row
def a32():
    out, _ = driver('a = A.options(name="keeps", lifetime="detached").remote(); print(ray.get(a.pid.remote()))').communicate(timeout=60)
    time.sleep(1)
    a = ray.get_actor("keeps", namespace="other")
    s = seen(a.pid.remote())
    ray.kill(a)
    return f"same process: {s == out.strip()}"


@row
def a33():
    out, _ = driver('a = A.options(name="goes").remote(); print(ray.get(a.pid.remote()))').communicate(timeout=60)
    gone = until(lambda: not alive(int(out)), 10)
    return f"process gone: {gone}; {raises(lambda: ray.get_actor('goes', namespace='other'))}"


@row
def a34():
    a = Counter.remote()
    pid = ray.get(a.pid.remote())
    d = folder()
    r = [a.wait.remote(d), a.add.remote(5)]
    del a
    gc.collect()
    time.sleep(1)
    mark(d, "go")
    return f"{[seen(x) for x in r]}; process gone: {until(lambda: not alive(pid))}"


@row
def a35():
    a = Counter.remote()
    pid = ray.get(a.pid.remote())
    box = ray.put({"in": a})
    del a
    gc.collect()
    time.sleep(1.5)
    s = f"alive while a stored value has it: {alive(pid)}, answers {seen(ray.get(box)['in'].add.remote(1))}"
    del box
    gc.collect()
    return s + f"; gone with the value: {until(lambda: not alive(pid), 10)}"


@row
def a36():
    a = Counter.remote()

    @ray.remote
    def adds(h, k):
        ray.get([h.add.remote(k * 1000 + i) for i in range(100)])
    ray.get([adds.remote(a, k) for k in (1, 2)])
    o = ray.get(a.order.remote())
    return f"each caller's in order: {all([x for x in o if x // 1000 == k] == sorted(x for x in o if x // 1000 == k) for k in (1, 2))}"


@row
def a37():
    a = Counter.options(max_pending_calls=2).remote()
    d = folder()
    rs = [a.wait.remote(d)]
    until(lambda: marks(d, "begun"))
    s = raises(lambda: rs.extend(a.add.remote(1) for _ in range(3)))
    mark(d, "go")
    return f"at .remote(): {s}; those before: {[seen(r) for r in rs]}"


@row
def a41():
    a = [Counter.remote() for _ in range(4)]
    ray.get([x.pid.remote() for x in a], timeout=60)
    return "with 4 actors alive a task of both CPUs: " + seen(square.options(num_cpus=2).remote(2), 10)


@row
def a42():
    a = Counter.options(num_cpus=2).remote()
    ray.get(a.pid.remote(), timeout=60)
    r = square.remote(2)
    s = seen(r, 1)
    ray.kill(a)
    return f"{s}; after its end {seen(r)}"


@row
def a45():
    a = Counter.remote()
    a.add.remote(1)
    return f"{seen(a.bad.remote())}; after: {seen(a.add.remote(1))}"


@row
def a46():
    a = Counter.remote()
    bad, good = a.add.remote(fails.remote(folder(), "upstream")), a.add.remote(3)
    return f"{seen(bad)}; behind it: {seen(good, 10)}"


@row
def a47():
    @ray.remote(max_retries=0)
    def makes():
        h = Counter.options(name="orphan").remote()
        ray.get(h.add.remote(1))
        return h, os.getpid()
    h, pid = ray.get(makes.remote())
    os.kill(pid, 9)
    time.sleep(1)
    return seen(h.add.remote(1))


@row
def a48():
    @ray.remote
    class Loud:
        def die(self):
            print("last words", flush=True)
            time.sleep(0.2)
            os._exit(7)
    a = Loud.remote()
    seen(a.die.remote())
    try:
        ray.get(a.die.remote())
    except Exception as e:
        t = str(e)
        return f"log lines: {'last words' in t}; code: {'exit code' in t and '7' in t}; pid: {'pid' in t}; {t[:300]}"


@row
def a49():
    return raises(lambda: ray.get_actor("nobody"))


@row
def a50():
    a = Counter.remote()
    return f"{ray.get([a.add.remote(1) for _ in range(1000)])[-1]}"


# ---- objects


@row
def o01():
    r = ray.put([1, 2])
    x = ray.get(r)
    x[0] = 9
    return f"list: {ray.get(r)}; numpy: {raises(lambda: ray.get(ray.put(np.zeros(10))).__setitem__(0, 1))}"


@row
def o02():
    r = ray.put(np.zeros(1 << 20))
    return raises(lambda: ray.get(r).__setitem__(0, 1)) + f"; object unchanged: {ray.get(r)[0] == 0}"


def stored(size):
    from ray.util.state import list_objects
    return len({o.object_id for o in list_objects(limit=1000, raise_on_missing_output=False) if o.object_size and o.object_size >= size})


@row
def o04():
    r = ray.put(np.zeros(1 << 20))
    n = stored(8 << 20)
    del r
    gc.collect()
    return f"{n} then gone: {until(lambda: stored(8 << 20) == 0, 10)}"


@row
def o05():
    outer = ray.put([ray.put(np.ones(1 << 20))])
    gc.collect()
    time.sleep(0.5)
    return f"{ray.get(ray.get(outer)[0])[0]}"


@row
def o06():
    a = Counter.remote()
    r = ray.put(np.ones(1 << 20))
    ray.get(a.keep.remote([r]))
    del r
    gc.collect()
    time.sleep(0.5)
    s = seen(a.kept_size.remote())
    ray.kill(a)
    return s


@row
def o07():
    @ray.remote
    def makes():
        return os.getpid(), np.ones(1 << 20)

    @ray.remote(num_returns=2)
    def both():
        return os.getpid(), np.ones(1 << 20)
    p, x = both.remote()
    os.kill(ray.get(p), 9)
    time.sleep(0.5)
    return f"{ray.get(x)[0]}"


@ray.remote(max_retries=0)
def puts(n):
    return ray.put(np.ones(n)), os.getpid()


@row
def o08():
    r, pid = ray.get(puts.remote(1 << 20))

    @ray.remote
    def reads(refs):
        return len(ray.get(refs[0]))
    before = ray.get(reads.options(num_cpus=0).remote([r]))
    os.kill(pid, 9)
    time.sleep(1)
    return f"read by another: {before}; after the owner's death {seen(r)}"


@row
def o09():
    @ray.remote(max_retries=0)
    def makes(d):
        return gate.options(num_cpus=0).remote(d), os.getpid()
    d = folder()
    r, pid = ray.get(makes.remote(d))
    until(lambda: marks(d, "begun"))
    os.kill(pid, 9)
    s = seen(r[0] if isinstance(r, list) else r)
    mark(d, "go")
    return s


@row
def o14():
    d = folder()
    slow = gate.remote(d)
    refs = [slow, square.remote(2), square.remote(3)]
    ready, rest = ray.wait(refs, num_returns=2, timeout=10)
    mark(d, "go")
    return f"ready in the order given: {ready == refs[1:]}, rest {rest == refs[:1]}; asked for 1 with 3 ready: {len(ray.wait(refs, num_returns=1)[0])}"


@row
def o15():
    return f"{len(ray.wait([fails.remote(folder(), 'x')], timeout=5)[0])} ready"


@row
def o16():
    d = folder()
    refs = [gate.remote(d), square.remote(1)]
    a, b = ray.wait(refs, num_returns=2, timeout=0.5)
    mark(d, "go")
    return f"{len(a)} ready, {len(b)} not, no error"


@row
def o17():
    return raises(lambda: ray.wait([square.remote(1)], num_returns=2))


@row
def o18():
    r = square.remote(1)
    return raises(lambda: len(ray.wait([r, r], num_returns=2)[0]))


@row
def o19():
    d = folder()
    late = gate.remote(d)
    refs = [late, fails.remote(d, "first"), fails.remote(d, "second")]
    s = seen(refs, 3)
    mark(d, "go")
    return f"while the first isn't complete: {s}; after: {seen(refs)[:80]}"


@row
def o20():
    r = square.remote(3)
    return f"{ray.get([])}; {ray.get([r, r])}"


@row
def o21():
    return raises(lambda: ray.put(np.zeros(40 << 20)))


@row
def o22():
    @ray.remote(max_retries=0)
    def huge():
        return np.zeros(40 << 20)
    return seen(huge.remote(), 60)


@row
def o23():
    refs = [ray.put(np.full(4 << 20, i)) for i in range(12)]
    return f"12 of 32 MB in 200 MB: {[int(ray.get(r)[0]) for r in refs] == list(range(12))}"


@row
def o24():
    return raises(lambda: ray.put(threading.Lock()))


@row
def o26():
    r = fails.remote(folder(), "once")
    return f"{seen(r)[:60]} twice: {seen(r) == seen(r)}"


@row
def o27():
    return raises(lambda: ray.put(ray.put(1)))


@row
def o28():
    r = ray.put(1)
    s = ray.get(ray.put([r]))[0]
    return f"copy equal: {r == s}; same value, other object: {ray.put(1) != r}"


@row
def o29():
    r = ray.put(np.ones(1 << 20))

    @ray.remote
    def total(x):
        return float(x.sum())
    ray.get([total.remote(r) for _ in range(4)])
    return f"{stored(8 << 20)} object(s) stored"


@row
def o30():
    d = folder()

    @ray.remote
    def late(x, d):
        mark(d, "begun")
        while not os.path.exists(os.path.join(d, "go")):
            time.sleep(0.01)
        return float(ray.get(x[0])[0])
    r = late.remote([ray.put(np.ones(1 << 20))], d)
    until(lambda: marks(d, "begun"))
    gc.collect()
    time.sleep(0.5)
    mark(d, "go")
    return seen(r)


# ---- placement on one node


@row
def p01():
    d = folder()
    rs = [gate.options(num_cpus=0.5).remote(d) for _ in range(5)]
    four = until(lambda: marks(d, "begun") == 4)
    time.sleep(1)
    n = marks(d, "begun")
    mark(d, "go")
    ray.get(rs)
    return f"four of 0.5 together: {four}, a fifth: {n == 5}"


@row
def p02():
    return f"0.0001: {seen(square.options(num_cpus=0.0001).remote(2))}; 0.00001: {raises(lambda: ray.get(square.options(num_cpus=0.00001).remote(2), timeout=5))}; 1.5: {raises(lambda: ray.get(square.options(num_cpus=1.5).remote(2), timeout=5))}"


@row
def p03():
    d = folder()
    rs = [gate.options(num_cpus=0, resources={"slot": 1}).remote(d) for _ in range(2)]
    until(lambda: marks(d, "begun"))
    time.sleep(1)
    n = marks(d, "begun")
    mark(d, "go")
    ray.get(rs)
    return f"{n} of 2 at a time"


@row
def p04():
    r = square.options(resources={"unobtainium": 1}).remote(1)
    s = seen(r, 2)
    ray.cancel(r)
    return f"{s}; cancelled: {seen(r, 10)}"


@row
def p06():
    return seen(square.options(scheduling_strategy=OnNode("ab" * 28, soft=False)).remote(1), 20)


@row
def p07():
    return seen(square.options(scheduling_strategy=OnNode("ab" * 28, soft=True)).remote(2), 20)


@row
def p10():
    d = folder()
    total = ray.cluster_resources()["memory"]
    rs = [gate.options(num_cpus=0, memory=int(total * 0.6)).remote(d) for _ in range(2)]
    until(lambda: marks(d, "begun"))
    time.sleep(1)
    n = marks(d, "begun")
    mark(d, "go")
    ray.get(rs)
    return f"two of 60 %: {n} at a time"


@row
def p11():
    a = [Counter.options(num_gpus=0.5).remote() for _ in range(4)]  # which take a CPU each
    third = raises(lambda: ray.get([x.gpu.remote() for x in a], timeout=10))
    for x in a:
        ray.kill(x)
    a = [Counter.options(num_gpus=0.5, num_cpus=0).remote() for _ in range(4)]
    s = ray.get([x.gpu.remote() for x in a], timeout=60)
    for x in a:
        ray.kill(x)
    return f"{s}; without num_cpus=0: {third}"


@row
def p12():
    a = [Counter.options(num_gpus=1).remote() for _ in range(2)]
    s = ray.get([x.gpu.remote() for x in a], timeout=60)
    for x in a:
        ray.kill(x)
    return f"{s}"


@row
def p13():
    return raises(lambda: ray.get(square.options(num_gpus=1.5).remote(1), timeout=5))


@row
def p14():
    return "a task without GPUs: " + repr(seen(env.remote("CUDA_VISIBLE_DEVICES")))


def group(*a, **k):
    return placement_group(*a, **k)


@row
def p15():
    g = group([{"CPU": 1}, {"CPU": 2}])
    ok = g.wait(2)
    free = ray.available_resources().get("CPU")
    remove_placement_group(g)
    return f"3 CPUs of 2: ready {ok}, CPUs free meanwhile {free}"


@row
def p16():
    g = group([{"CPU": 3}])
    s = raises(lambda: ray.get(g.ready(), timeout=1))
    w = g.wait(1)
    remove_placement_group(g)
    return f"ready(): {s}; wait(1): {w}"


@row
def p17():
    g = group([{"CPU": 1}, {"CPU": 1}], strategy="STRICT_SPREAD")
    ok = g.wait(2)
    s = ray.util.placement_group_table(g)["state"]
    remove_placement_group(g)
    return f"two bundles, one node: ready {ok}, {s}"


@row
def p19():
    g = group([{"CPU": 1}])
    ray.get(g.ready())
    a = Counter.options(num_cpus=1, max_restarts=-1, scheduling_strategy=InGroup(g)).remote()
    d = folder()
    r = a.wait.remote(d)
    until(lambda: marks(d, "begun"))
    remove_placement_group(g)
    return f"running call: {seen(r)}; next: {seen(a.add.remote(1))}"


@row
def p20():
    g = group([{"CPU": 1}])
    ray.get(g.ready())
    d = folder()
    s = InGroup(g)
    r = [gate.options(scheduling_strategy=s).remote(d) for _ in range(2)]
    until(lambda: marks(d, "begun"))
    remove_placement_group(g)
    a = [seen(x)[:230] for x in r]
    return f"running, waiting: {a}; later: {seen(square.options(scheduling_strategy=s).remote(1), 10)}; runs {marks(d, 'begun')}"


@row
def p21():
    g = group([{"CPU": 1}])
    ray.get(g.ready())
    d = folder()
    rs = [gate.options(scheduling_strategy=InGroup(g)).remote(d) for _ in range(2)]
    until(lambda: marks(d, "begun"))
    outside = seen(square.remote(2), 10)
    time.sleep(1)
    n = marks(d, "begun")
    mark(d, "go")
    ray.get(rs)
    remove_placement_group(g)
    return f"{n} of 2 in a bundle of 1 CPU at a time; one outside meanwhile {outside}"


@ray.remote
def child():
    g = ray.util.get_current_placement_group()
    return g.id.hex() if g else None


@ray.remote
def parent():
    return ray.get(child.remote())


@row
def p22():
    g = group([{"CPU": 1}, {"CPU": 1}])
    ray.get(g.ready())
    yes = seen(parent.options(scheduling_strategy=InGroup(g, placement_group_capture_child_tasks=True)).remote(), 10)
    remove_placement_group(g)
    return f"child in the group: {g.id.hex() in yes}"


@row
def p23():
    g = group([{"CPU": 1}])
    ray.get(g.ready())
    no = seen(parent.options(scheduling_strategy=InGroup(g)).remote(), 10)
    remove_placement_group(g)
    return f"child's group: {no}"


@row
def p24():
    g = group([{"CPU": 1}], name="named")
    ray.get(g.ready())
    h = get_placement_group("named")
    twice = raises(lambda: group([{"CPU": 1}], name="named").wait(2))
    remove_placement_group(g)
    gone = until(lambda: "Error" in raises(lambda: get_placement_group("named")), 5)
    return f"found: {g.id == h.id}; twice: {twice}; gone after removal: {gone}"


@row
def p25():
    until(lambda: ray.available_resources().get("CPU") == 2)
    g = group([{"CPU": 1}, {"CPU": 0.5}])
    ray.get(g.ready())
    until(lambda: ray.available_resources().get("CPU") == 0.5, 3)
    n = ray.available_resources().get("CPU")
    remove_placement_group(g)
    return f"free {n}; after removal 2: {until(lambda: ray.available_resources().get('CPU') == 2)}"


@row
def p27():
    g = group([{"CPU": 1}])
    ray.get(g.ready())
    remove_placement_group(g)
    return raises(lambda: remove_placement_group(g))


@row
def p28():
    g = group([{"CPU": 1}])
    ray.get(g.ready())
    s = raises(lambda: ray.get(square.options(num_cpus=2, scheduling_strategy=InGroup(g)).remote(1), timeout=3))
    t = raises(lambda: ray.get(square.options(scheduling_strategy=InGroup(g, 5)).remote(1), timeout=3))
    remove_placement_group(g)
    return f"larger than a bundle: {s}; bundle 5 of 1: {t}"


@row
def p34():
    return f"free equals total: {until(lambda: ray.available_resources().get('CPU') == 2)}"


@row
def p37():
    from ray.util.state import list_tasks
    d = folder()
    busy = gate.options(num_cpus=2).remote(d)
    until(lambda: marks(d, "begun"))
    r = square.options(name="waits for a CPU").remote(1)
    time.sleep(2)
    s = [t.state for t in list_tasks(filters=[("name", "=", "waits for a CPU")])]
    mark(d, "go")
    ray.get([busy, r])
    return f"{s}"


@row
def p35():
    out, _ = driver("g = ray.util.placement_group([{'CPU': 1}]); ray.get(g.ready()); print(g.id.hex())").communicate(timeout=60)
    ok = until(lambda: ray.available_resources().get("CPU") == 2, 10)
    return f"CPUs back after its job's end: {ok}"


# ---- jobs


@row
def j01():
    p = driver("print(ray.get(pid.remote()) > 0)")
    out, _ = p.communicate(timeout=60)
    return f"exit {p.returncode}, {out.strip()}"


@row
def j02():
    p = driver("raise ValueError('as it must')")
    _, err = p.communicate(timeout=60)
    from ray.util.state import list_jobs
    jobs = [(j.status, j.message) for j in list_jobs(limit=1000)]
    return f"exit {p.returncode}; said {'as it must' in err}; jobs {collections.Counter(jobs)}"


@row
def j03():
    d = folder()
    p = driver(f"a = A.remote(); sleeps.remote({d!r}); print(ray.get(a.pid.remote()), flush=True); time.sleep(3600)")
    actor = int(p.stdout.readline())
    until(lambda: marks(d, "begun"))
    worker = int(open(os.path.join(d, "begun")).read())
    p.kill()
    t = time.time()
    ok = until(lambda: not alive(actor) and not alive(worker), 30)
    return f"actor and running task's process gone: {ok} after {time.time() - t:.1f} s"


@row
def j04():
    p = driver("ray.get(ray.remote(lambda: print('one line')).remote()); time.sleep(1.5)")
    out, err = p.communicate(timeout=60)
    return repr([x for x in (out + err).splitlines() if "one line" in x])


@row
def j05():
    a = Counter.options(name="private").remote()
    ray.get(a.add.remote(1))
    p = driver("\ntry:\n    ray.get_actor('private'); print('found')\nexcept Exception as e: print(type(e).__name__)")
    return p.communicate(timeout=60)[0].strip()


@row
def j06():
    mine = set(ray.get([env_pid.remote() for _ in range(8)]))
    out, _ = driver("print(set(ray.get([pid.remote() for _ in range(8)])))").communicate(timeout=60)
    return f"processes in common: {len(mine & set(eval(out)))}"


@ray.remote
def env_pid():
    return os.getpid()


@row
def j09():
    d = folder()
    p = driver(f"sleeps.remote({d!r})\nwhile not os.path.exists({d!r} + '/begun'): time.sleep(0.01)\ntime.sleep(0.1)")
    p.communicate(timeout=60)
    worker = int(open(os.path.join(d, "begun")).read())
    return f"exit {p.returncode}; the task's process gone: {until(lambda: not alive(worker), 20)}"


@row
def j13():
    d = folder()
    nap = ray.remote(lambda: time.sleep(0.02))
    backlog = [nap.remote() for _ in range(1000)]
    p = driver("t = time.time(); ray.get([pid.remote() for _ in range(10)]); print(time.time() - t)")
    out, _ = p.communicate(timeout=80)
    left = len(ray.wait(backlog, num_returns=len(backlog), timeout=0)[1])
    for r in backlog:
        ray.cancel(r)
    return f"ten tasks of another job took {float(out):.1f} s, when {left} of this job's 1000 were left"


@row
def j11():
    d = folder()
    p = driver(f"r = sleeps.remote({d!r}); ray.get(r)")
    until(lambda: marks(d, "begun"), 30)
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=60)
    worker = int(open(os.path.join(d, "begun")).read())
    return f"exit {p.returncode}, {err.strip().splitlines()[-1][:80]!r}; task's process gone: {until(lambda: not alive(worker), 20)}"


# ---- several nodes


def nodes():
    return sorted(n["NodeID"] for n in ray.nodes() if n["Alive"])


def other():
    here = ray.get_runtime_context().get_node_id()
    return [n for n in nodes() if n != here]


def here():
    return ray.get_runtime_context().get_node_id()


@ray.remote
def where(*a):
    return ray.get_runtime_context().get_node_id()


@ray.remote
def ones(n, d=None):
    if d:
        mark(d, "runs")
    return np.ones(n)


def on(node, soft=False):
    return OnNode(node, soft=soft)


def added(cluster, **k):
    """A new node, which the caller kills."""
    before = set(nodes())
    n = cluster.add_node(num_cpus=2, object_store_memory=100 << 20, **k)
    until(lambda: len(nodes()) > len(before), 30)
    return n, (set(nodes()) - before).pop()


@cluster_row
def p05(cluster):
    n = other()[0]
    return f"{ray.get(where.options(scheduling_strategy=on(n)).remote()) == n}"


@cluster_row
def p08(cluster):
    d = folder()

    @ray.remote(scheduling_strategy="SPREAD")
    def stay(d):
        mark(d, "begun")
        until(lambda: os.path.exists(os.path.join(d, "go")))
        return ray.get_runtime_context().get_node_id()
    rs = [stay.remote(d) for _ in range(2)]
    until(lambda: marks(d, "begun") == 2)
    mark(d, "go")
    return f"two on {len(set(ray.get(rs)))} nodes"


@cluster_row
def p09(cluster):
    return f"on the driver's own node while it is idle: {ray.get(where.remote()) == here()}"


@cluster_row
def p18(cluster):
    out = []
    for s in ("STRICT_PACK", "STRICT_SPREAD", "PACK", "SPREAD"):
        g = placement_group([{"CPU": 1}] * 2, strategy=s)
        ray.get(g.ready(), timeout=10)
        ns = ray.get([where.options(scheduling_strategy=InGroup(g, i)).remote() for i in range(2)])
        out.append(f"{s} {len(set(ns))}")
        remove_placement_group(g)
    return ", ".join(out) + " nodes"


@cluster_row
def p29(cluster):
    r = where.options(label_selector={"zone": "east"}).remote()
    s = seen(r, 2)
    n, i = added(cluster, labels={"zone": "east"})
    t = seen(r, 10)
    out = f"without such a node: {s[:40]}; when one joins, there: {i in t}; !in: {seen(where.options(label_selector={'zone': '!in(east)'}).remote(), 5) != repr(i)}"
    cluster.remove_node(n, allow_graceful=False)
    return out


@cluster_row
def p30(cluster):
    n = other()[0]
    r = ones.options(scheduling_strategy=on(n)).remote(2 << 20)
    ray.wait([r], fetch_local=False)
    return f"a task runs where its 16 MB input is: {ray.get(where.remote(r)) == n}"


@cluster_row
def p31(cluster):
    n, i = added(cluster)
    d = folder()

    @ray.remote
    def stay(d):
        mark(d, "begun")
        until(lambda: os.path.exists(os.path.join(d, "go")), 60)
        return ray.get_runtime_context().get_node_id()
    soft = stay.options(scheduling_strategy=on(i, True)).remote(d)
    hard = stay.options(scheduling_strategy=on(i)).remote(d)
    until(lambda: marks(d, "begun") == 2)
    t = time.time()
    cluster.remove_node(n, allow_graceful=False)
    until(lambda: marks(d, "begun") > 2, 60)
    mark(d, "go")
    s = seen(soft, 60)
    return f"soft: elsewhere {i not in s} after {time.time() - t:.1f} s; hard: {seen(hard, 60)}"


@cluster_row
def p26(cluster):
    n, i = added(cluster)
    g = placement_group([{"CPU": 1}, {"CPU": 2}], strategy="STRICT_SPREAD")
    ok = g.wait(10)
    t = ray.util.placement_group_table(g)
    at = list(t["bundles_to_node_id"].values())
    cluster.remove_node(n, allow_graceful=False)
    if i not in at:
        remove_placement_group(g)
        g = None
        return f"ready {ok}; the group wasn't there: {at}"
    r = where.options(scheduling_strategy=InGroup(g, at.index(i))).remote()
    u = seen(r, 60)
    remove_placement_group(g)
    return f"a task of the lost bundle: {u[:60]}"


@cluster_row
def a43(cluster):
    n, i = added(cluster)
    a = Counter.options(max_restarts=1, scheduling_strategy=on(i, True)).remote(n=5)
    s = ray.get(a.node.remote()) == i
    t = time.time()
    cluster.remove_node(n, allow_graceful=False)
    at_once = seen(a.node.remote())
    until(lambda: i not in nodes(), 60)
    known = time.time() - t
    until(lambda: seen(a.add.remote(1), 30) == "6", 60)
    return f"was there: {s}; answers from there at once after: {i in at_once}; known to be dead after {known:.1f} s, then {seen(a.add.remote(1), 60)} after {time.time() - t:.1f} s, elsewhere: {ray.get(a.node.remote()) != i}"


@cluster_row
def a44(cluster):
    n, i = added(cluster)
    a = Counter.options(scheduling_strategy=on(i, True)).remote()
    ray.get(a.add.remote(1))
    t = time.time()
    cluster.remove_node(n, allow_graceful=False)
    s = seen(a.add.remote(1), 60)
    until(lambda: i not in nodes(), 60)
    return f"at once: {s}; when the node is known to be dead, after {time.time() - t:.1f} s: {seen(a.add.remote(1), 60)}"


@cluster_row
def o10(cluster):
    n, i = added(cluster)
    d = folder()
    r = ones.options(scheduling_strategy=on(i, True)).remote(2 << 20, d)
    ray.wait([r], fetch_local=False)
    cluster.remove_node(n, allow_graceful=False)
    return seen(r, 60)[:60] + f"; runs {marks(d, 'runs')}"


@cluster_row
def o11(cluster):
    n, i = added(cluster)

    @ray.remote
    def put():
        return ray.put(np.ones(2 << 20))
    r = ray.get(put.options(scheduling_strategy=on(i)).remote())
    cluster.remove_node(n, allow_graceful=False)
    return seen(r, 60)


@cluster_row
def o13(cluster):
    n, i = added(cluster)
    r = ones.options(scheduling_strategy=on(i, True), max_retries=0).remote(2 << 20)
    ray.wait([r], fetch_local=False)
    cluster.remove_node(n, allow_graceful=False)
    return seen(r, 60)


@cluster_row
def o32(cluster):
    n, i = added(cluster)

    @ray.remote
    def more(x):
        return x + 1
    s = on(i, True)
    r = more.options(scheduling_strategy=s).remote(more.options(scheduling_strategy=s).remote(ones.options(scheduling_strategy=s).remote(2 << 20)))
    ray.wait([r], fetch_local=False)
    cluster.remove_node(n, allow_graceful=False)
    return seen(r, 60)[:60]


def p33():
    """Ends a worker for its memory: with a threshold of 1 GiB above what is in use."""
    @ray.remote(max_retries=0)
    def eats(d):
        mark(d, "runs")
        x = bytearray(2 << 30)
        for i in range(0, len(x), 4096):
            x[i] = 1
        time.sleep(10)
        return "lives"
    d, e = folder(), folder()
    s = seen(eats.remote(d), 40)
    seen(eats.options(max_retries=1).remote(e), 20)
    return f"{s}; runs without retries {marks(d, 'runs')}, in 20 s with one retry {marks(e, 'runs')}"


@cluster_row
def p32(cluster):
    n, i = added(cluster)
    d = folder()
    soft = on(i, True)

    @ray.remote
    def stay(d):
        mark(d, "begun")
        until(lambda: os.path.exists(os.path.join(d, "go")), 60)
        return ray.get_runtime_context().get_node_id()
    running = stay.options(scheduling_strategy=soft).remote(d)
    a = Counter.options(max_restarts=1, scheduling_strategy=soft).remote()
    r = ones.options(scheduling_strategy=soft).remote(2 << 20, d)
    ray.get(a.add.remote(1))
    ray.wait([r], fetch_local=False)
    until(lambda: marks(d, "begun"))
    c = subprocess.run([os.path.join(os.path.dirname(sys.executable), "ray"), "drain-node", "--address", cluster.address, "--node-id", i,
                        "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "row", "--deadline-remaining-seconds", "5"],
                       capture_output=True, text=True)
    elsewhere = i not in seen(where.options(scheduling_strategy=soft).remote(), 5)
    mark(d, "go")
    at = seen(running, 30)
    gone = until(lambda: i not in nodes(), 15)
    out = f"said {c.returncode}; a new task goes elsewhere: {elsewhere}; the running one ended there: {i in at}; left: {gone}"
    out += f"; actor: {seen(a.add.remote(1), 20)[:60]}; object: {seen(r, 20)[:30]}, its task ran {marks(d, 'runs')} times"
    if not gone:
        cluster.remove_node(n, allow_graceful=False)
    return out


def tried(f, *args):
    """What a row showed; one that hangs is left after a minute."""
    def late(*_):
        raise TimeoutError("hangs")
    signal.signal(signal.SIGALRM, late)
    signal.alarm(90)
    try:
        return " ".join(str(f(*args)).split())
    except BaseException as e:
        return "the trial failed: " + said(e)
    finally:
        signal.alarm(0)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--json")
    p.add_argument("ids", nargs="*")
    a = p.parse_args()
    want = lambda i: not a.ids or i in a.ids or any(i.startswith(x) for x in a.ids if len(x) == 1)
    out = {}

    def try_all(rows, *args):
        for i, f in rows.items():
            if want(i):
                t = time.time()
                out[i] = tried(f, *args)
                print(f"{i} ({time.time() - t:.1f} s) {out[i]}", flush=True)
                gc.collect()

    if any(map(want, ROWS)):
        ray.init(num_cpus=2, num_gpus=2, resources={"slot": 1}, object_store_memory=200 << 20, namespace="mine",
                 log_to_driver=False, logging_level="ERROR")
        try_all(ROWS)
        ray.shutdown()
    if want("P33"):
        usage = psutil.virtual_memory()
        limit = 1 - (usage.available - (1 << 30)) / usage.total
        ray.init(num_cpus=2, object_store_memory=100 << 20, log_to_driver=False, logging_level="ERROR",
                 _system_config={"memory_usage_threshold": limit})
        try_all({"P33": p33})
        ray.shutdown()
    if any(map(want, CLUSTER_ROWS)):
        from ray.cluster_utils import Cluster
        c = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 << 20})
        c.add_node(num_cpus=2, object_store_memory=100 << 20)
        ray.init(address=c.address, log_to_driver=False, logging_level="ERROR")
        until(lambda: len(nodes()) == 2, 30)
        try_all(CLUSTER_ROWS, c)
        ray.shutdown()
        c.shutdown()
    if a.json:
        json.dump(out, open(a.json, "w"), indent=1)


if __name__ == "__main__":
    main()
