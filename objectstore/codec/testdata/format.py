"""Checks the golden file with the Python of docs/FORMAT.md, and writes the same values to stdout."""

import datetime
import sys

import numpy as np
from gray_format import dumps, loads

MADE = datetime.datetime(2026, 11, 28, 1, 2, 3, 456789, tzinfo=datetime.timezone.utc)
BARE = {"Name": "p", "Origin": {"X": 0, "Y": 0}, "Points": None, "Tags": None, "Parent": None, "shape": "", "Made": MADE, "Raw": None}
VALUES = {
    "int": -70000,
    "uint64": 1 << 63,
    "float": 0.1,
    "text": "grün",
    "bytes": b"\x00\x01\xff",
    "none": None,
    "complex": [1.0, -2.0],
    "time": MADE,
    "early": datetime.datetime(1900, 1, 1, tzinfo=datetime.timezone.utc),
    "duration": 3_000_000_000,
    "short": [1.0, 2.0, 3.0],
    "floats": np.arange(9, dtype="<f8"),
    "ints": np.arange(8, dtype="<i8"),
    "shorts": np.arange(8, dtype="<i2"),
    "matrix": np.arange(6, dtype="<f4").reshape(2, 3),
    "cube": np.arange(8, dtype="u1").reshape(2, 2, 2),
    "scalar": np.array(7.0),
    "hollow": np.empty((3, 0), "<i8"),
    "waves": np.array([1j, 2], "<c8"),
    "strings": ["a", "b"],
    "numbered": {5: "five"},
    "any": [1, "x", None, True, np.empty(0, "<f4"), {"k": np.array([7], "<u2")}],
    "scene": {
        "Name": "s", "Origin": {"X": 1, "Y": -1}, "Points": [{"X": 2, "Y": 3}, {"X": 0, "Y": 0}], "Tags": {"t": 9},
        "Parent": BARE, "shape": "round", "Made": MADE, "Raw": b"raw",
    },
    "arrays": {
        "Label": "three", "A": np.arange(10, dtype="<f8"), "B": np.arange(12, dtype="<i4").reshape(3, 4),
        "C": [np.arange(8, dtype="<i8"), [1]],
    },
}


def same(a, b):
    if isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(b, dict):
        return isinstance(a, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in b)
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


with open(sys.argv[1], encoding="ascii") as golden:
    stored = dict(line.split() for line in golden)
if set(stored) != set(VALUES):
    sys.exit(f"the examples differ: {set(stored) ^ set(VALUES)}")
for name, want in VALUES.items():
    got = loads(bytes.fromhex(stored[name]))
    if not same(got, want):
        sys.exit(f"{name}: {got!r} was read, not {want!r}")
    print(name, dumps(want).hex())
