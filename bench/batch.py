"""Bulk prediction beside raw ONNX Runtime: the same file, the same model, the same machine.

The floor reads the Parquet file with pyarrow, a row group at a time, runs ONNX Runtime on all cores and writes
nothing. `mainspring predict` reads it, runs the model, joins the answers to the columns and writes Parquet.
"""

import os
import pathlib
import subprocess
import tempfile
import time

import lib
import ours
from lib import Figure, say

ROWS = int(os.environ.get("BENCH_ROWS", "10000000"))
GROUP = 1 << 17


def data(path):
    """Writes the columns of the model, an id and a text, in row groups as pyarrow makes them; answers the names
    of the model's columns and the model."""
    import numpy
    import pyarrow
    import pyarrow.parquet

    table, onnx = ours.boosted()
    few, columns = table.train_x.to_numpy(dtype=numpy.float32), list(table.train_x.columns)
    regions = numpy.array(["north", "south", "east", "west"])
    random, writer = numpy.random.default_rng(0), None
    for start in range(0, ROWS, GROUP):
        picks = random.integers(0, len(few), min(GROUP, ROWS - start))
        group = {"id": numpy.arange(start, start + len(picks)), **dict(zip(columns, few[picks].T)), "region": regions[picks % 4]}
        group = pyarrow.table(group)
        writer = writer or pyarrow.parquet.ParquetWriter(path, group.schema)
        writer.write_table(group)
    writer.close()
    return columns, onnx


def floor(path, columns, onnx):
    """Seconds that raw ONNX Runtime takes."""
    import numpy
    import onnxruntime
    import pyarrow.parquet

    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    name, done = session.get_inputs()[0].name, 0
    began = time.monotonic()
    file = pyarrow.parquet.ParquetFile(path)
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=columns)
        values = numpy.column_stack([rows.column(c).to_numpy() for c in columns]).astype(numpy.float32)
        done += len(session.run(None, {name: values})[0])
    took = time.monotonic() - began
    if done != ROWS:
        raise RuntimeError(f"the floor answered {done} rows of {ROWS}")
    return took


def predicted(server, path, columns, to):
    """Seconds and bytes of memory that `mainspring predict` takes."""
    import pyarrow.parquet

    command = ["/usr/bin/time", "-f", "%M", server.binary, "--server", server.url, "predict", "bench-batch/1", path, "-o", to,
               "--overwrite", "--columns", ",".join(columns), "--onnxruntime", ours.library()]
    began = time.monotonic()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=lib.environment(), cwd=server.folder)
    took = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"mainspring predict: {done.stderr}")
    if (rows := pyarrow.parquet.ParquetFile(to).metadata.num_rows) != ROWS:
        raise RuntimeError(f"mainspring predict wrote {rows} rows of {ROWS}")
    return took, int(done.stderr.strip().splitlines()[-1]) * 1024


def batch(binary):
    """`mainspring predict` and the floor, in turn."""
    with tempfile.TemporaryDirectory(prefix="mainspring-batch-") as folder, ours.Server(binary) as server:
        path, to = pathlib.Path(folder) / "in.parquet", pathlib.Path(folder) / "out.parquet"
        say(f"batch: making {ROWS:,} rows")
        columns, onnx = data(path)
        ours.register(server, "bench-batch", onnx)
        bare, mine, memory = [], [], 0
        for n in range(lib.ROUNDS):
            say(f"batch: round {n + 1}")
            bare.append(floor(path, columns, onnx))
            took, peak = predicted(server, path, columns, to)
            mine.append(took)
            memory = max(memory, peak)
        size = path.stat().st_size
    speed = lambda times: Figure.of(ROWS / t for t in times).show()  # noqa: E731
    times = Figure.of(m / b for m, b in zip(mine, bare))
    return [
        [f"{ROWS:,} rows, {size / 1e6:.0f} MB of Parquet", "seconds", "rows a second", "times the floor", "peak memory"],
        ["raw ONNX Runtime, writing nothing", Figure.of(bare).show(digits=2), speed(bare), "1.00", ""],
        ["mainspring predict", Figure.of(mine).show(digits=2), speed(mine), times.show(digits=2), f"{memory / 1e6:.0f} MB"],
    ]
