#!/usr/bin/env python3
"""Us beside our floor and our peers, on this machine, in one run. `make bench` calls it.

    bench/run.py --binary PATH              all parts
    bench/run.py --binary PATH --only rest  some parts (comma-separated)

BENCH_ROUNDS (5) and BENCH_SECONDS (3) set how often and how long each figure is taken. Each part's
table takes the place of the one in bench/RESULTS.md; those of other parts stay.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys

import batch
import lib
import parts_monitor
import parts_python
import parts_rollout
import parts_serving
import parts_tracking

PARTS = {
    "engine": ("The model itself", parts_serving.engine),
    "rest": ("REST, one row a request", parts_serving.rest),
    "grpc": ("gRPC, one row a call", parts_serving.grpc),
    "tensors": ("Binary tensors of 1 MB", parts_serving.tensors),
    "python": ("A scikit-learn model as it was logged", parts_python.python),
    "batch": ("Bulk prediction of a Parquet file", batch.batch),
    "reload": ("Reload under load", parts_serving.reload),
    "memory": ("Memory", parts_serving.memory),
    "start": ("Start", parts_serving.start),
    "monitor": ("Drift between files, and what is in one", parts_monitor.files),
    "watched": ("What a monitor takes of a deployment", parts_monitor.cost),
    "wide": ("Monitors of very many columns", parts_monitor.wide),
    "tiles": ("Windows of tiles", parts_monitor.tiles),
    "tracking": ("Tracking, eight clients", parts_tracking.tracking),
    "rollout": ("Rollouts", parts_rollout.rollout),
    "errors": ("How often a test of a rollout is wrong", parts_rollout.errors),
}

METHOD = """\
Server, load generator and peers run on the same machine over loopback. HTTP load is wrk with one thread
in a closed loop; gRPC load is `mainspring-bench grpc`, one thread as well. The model is a hundred boosted
trees on 30 columns; every subject gets the same row and answers the same two outputs. The floor is a
handler on our own HTTP stack that reads the body and answers as many bytes. A figure is the median of
the rounds with the lowest and the highest behind it; ours and the floor take turns round by round. The
journal is on. A failed request ends a part. wrk counts a stall again for each request that would have been
sent meanwhile, so the p99 of one connection is the stall that a hundredth of the time is spent in, not the
slowest of a hundred requests. Of drift and profiles, ours is the whole process with its start and the reading of
Parquet, a peer's the comparison alone with its tables in memory (DuckDB's with reading), once where it takes long.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="an optimised mainspring")
    parser.add_argument("--only", default="", help=f"parts, comma-separated: {', '.join(PARTS)}")
    args = parser.parse_args()
    chosen = [part for part in args.only.split(",") if part] or list(PARTS)
    if unknown := [part for part in chosen if part not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    binary = os.path.abspath(args.binary)
    lib.OUT.mkdir(exist_ok=True)
    results = lib.HERE / "RESULTS.md"
    sections, failed = known(results), []
    for part in chosen:
        title, measure = PARTS[part]
        lib.say(f"{part}: {title}")
        try:
            rows = measure(binary)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            lib.say(f"{part} failed: {error}")
            failed.append(part)
            continue
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        taken = f"{when}, {lib.ROUNDS} rounds of {lib.SECONDS:g} s, {machine()}"
        sections[title] = "\n".join([*markdown(rows), "", taken])
        print("\n".join(markdown(rows)), flush=True)
        # Written each time: what is measured after it may take hours, and fail.
        results.write_text(report(binary, sections))
    lib.say("wrote bench/RESULTS.md" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def known(results):
    """What each section of a report says, by its title."""
    parts = results.read_text().split("\n## ")[1:] if results.exists() else []
    return {title: text.strip() for title, _, text in (part.partition("\n") for part in parts)}


def markdown(rows):
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]] if len(rows) > 1 else ["| | |", "| --- | --- |", *lines]


def cpu():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine():
    return f"{os.cpu_count()} cores of {cpu()}, Linux {platform.release()}"


def report(binary, sections):
    version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.strip()
    packages = {name: lib.version_of(name) for name in ("onnxruntime", "mlflow", "scikit-learn")}
    lines = [
        "# Bench", "", "Made by `make bench`; do not edit.", "",
        f"{version}, {machine()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {v}" for name, v in packages.items()) + ".", "", METHOD,
    ]
    for title, _ in PARTS.values():
        if title in sections:
            lines += [f"## {title}", "", sections[title], ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(lib.HERE))
    sys.exit(main())
