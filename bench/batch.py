#!/usr/bin/env python3
"""Bulk prediction beside raw ONNX Runtime: the same file, the same model, the same machine.

    bench/batch.py --binary PATH [--rows 1000000]

The floor reads the Parquet file with pyarrow, a row group at a time, runs ONNX Runtime on all cores and writes
nothing. `mainspring predict` reads it, runs the model, joins the answers to the columns and writes Parquet.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import lib
import numpy
import onnxruntime
import ours
import pandas
import pyarrow.parquet


def data(rows, folder):
    """The columns of the model, an id and a text, in row groups as pyarrow makes them."""
    table, onnx = ours.boosted()
    few = table.train_x
    picks = numpy.random.default_rng(0).integers(0, len(few), rows)
    frame = pandas.DataFrame(few.to_numpy(dtype=numpy.float32)[picks], columns=list(few.columns))
    frame.insert(0, "id", numpy.arange(rows))
    frame["region"] = numpy.array(["north", "south", "east", "west"])[picks % 4]
    path = folder / "in.parquet"
    frame.to_parquet(path, row_group_size=1 << 17, index=False)
    return path, list(few.columns), onnx


def floor(path, columns, onnx):
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    name, done = session.get_inputs()[0].name, 0
    began = time.monotonic()
    file = pyarrow.parquet.ParquetFile(path)
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=columns)
        values = numpy.column_stack([rows.column(c).to_numpy() for c in columns]).astype(numpy.float32)
        done += len(session.run(None, {name: values})[0])
    return time.monotonic() - began, done


def ours_once(server, path, to, columns, *more):
    began = time.monotonic()
    command = ["/usr/bin/time", "-f", "%M", server.binary, "--server", server.url, "predict", "bench-batch/1", str(path), "-o", str(to),
               "--overwrite", "--columns", ",".join(columns), "--onnxruntime", server.library, *more]
    done = subprocess.run(command, capture_output=True, text=True, env=lib.environment(), cwd=server.folder)
    took = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return took, int(done.stderr.strip().splitlines()[-1]) * 1024, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mainspring-batch-"))
    try:
        with ours.Server(args.binary) as server:
            found = (pathlib.Path(sys.prefix) / "lib").glob("python*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
            server.library = str(next(iter(sorted(found))))
            path, columns, onnx = data(args.rows, folder)
            ours.register(server, "bench-batch", onnx)
            print(f"{args.rows} rows, {path.stat().st_size / 1e6:.0f} MB of Parquet, {len(columns)} columns of the model and 2 more")
            ratios = []
            for _ in range(args.rounds):
                bare, rows = floor(path, columns, onnx)
                took, memory, said = ours_once(server, path, folder / "out.parquet", columns)
                assert rows == pyarrow.parquet.ParquetFile(folder / "out.parquet").metadata.num_rows == args.rows
                ratios.append(took / bare)
                print(f"raw ONNX Runtime {bare:6.2f} s   mainspring predict {took:6.2f} s   {took / bare:.2f} times   {memory / 1e6:.0f} MB   {said.splitlines()[0]}")
            print(f"median {sorted(ratios)[len(ratios) // 2]:.2f} times the floor")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
