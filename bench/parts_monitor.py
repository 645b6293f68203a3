"""Monitoring: drift between files, a file's profile, windows of tiles, and what a monitor costs a deployment."""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import lib
import ours
from lib import Figure, figures, say
from parts_rollout import example

ROWS = int(os.environ.get("BENCH_DRIFT_ROWS", "1000000"))
COLUMNS = 20
# Rounds of each peer; one comparison of Evidently's takes more than a minute.
PEER_ROUNDS = int(os.environ.get("BENCH_PEER_ROUNDS", "1"))
# Minutes of traffic with and without a monitor.
WATCHED = int(os.environ.get("BENCH_WATCHED_MINUTES", "3"))
ORACLES = lib.ROOT / "crates" / "stats" / "oracles" / "run.py"


def data(folder):
    """Two tables, four shapes of numbers, a quarter of the columns shifted: Parquet, and what the peers read beside it."""
    import numpy
    import pyarrow
    import pyarrow.parquet

    random = numpy.random.default_rng(0)
    shapes = [random.normal, random.exponential, random.lognormal, random.uniform]
    paths = []
    for name, shift in (("reference", 0), ("current", 0.3)):
        columns = {f"c{i:02}": shapes[i % 4](size=ROWS) + (shift if i >= COLUMNS * 3 // 4 else 0) for i in range(COLUMNS)}
        paths.append(pathlib.Path(folder) / f"{name}.parquet")
        pyarrow.parquet.write_table(pyarrow.table(columns), paths[-1])
        numpy.savez(paths[-1].with_suffix(".npz"), **columns)
    return paths


def peer(name, *paths):
    """One round of a peer: seconds, CPU seconds and bytes. Its environment is that of the oracle tests."""
    python = pathlib.Path(sys.executable)
    if name in ("evidently", "nannyml"):
        python = lib.CACHE.parent / "oracles" / name / "bin" / "python"
        if not python.exists():
            say(f"installing {name}")
            subprocess.run([sys.executable, ORACLES, "--install", name], check=True)
    done = subprocess.run([python, lib.HERE / "peers" / "columns.py", name, *paths], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def mine(binary, *words):
    """One round of ours, the whole process with its start and its reading."""
    command = ["/usr/bin/time", "-f", "%e %U %S %M", binary, *words]
    began = time.perf_counter()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=lib.environment())
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"mainspring {' '.join(map(str, words))}: {done.stderr}")
    _, user, system, peak = done.stderr.strip().splitlines()[-1].split()
    return {"seconds": took, "cpu": float(user) + float(system), "peak": int(peak) * 1024, "data": 0}


def beside(subjects, against):
    """A table of ours and the peers, in turns; `against` names for each peer what of ours it is compared with, and for each of
    ours the floor."""
    rounds = {name: [] for name in subjects}
    for number in range(lib.ROUNDS):
        for name, one in subjects.items():
            if name not in PEERS or number < PEER_ROUNDS:
                say(f"monitor: {name}")
                rounds[name].append(one())
    median = lambda name, key: Figure.of(r[key] for r in rounds[name]).median  # noqa: E731
    rows = []
    for name, found in rounds.items():
        others = against.get(name, [])
        ratio = [", ".join(f"{median(name, key) / median(other, key):.1f} × {other}" for other in others) for key in ("seconds", "cpu")]
        peak = max(r["peak"] - r["data"] for r in found)
        above = f"{peak / 1e6:.0f} MB" + (" above its data" if name in PEERS else "")
        rows.append([name, Figure.of(r["seconds"] for r in found).show(digits=2), Figure.of(r["cpu"] for r in found).show(digits=2), above, *ratio])
    return rows


# Named for what they are compared with. These are asked in fewer rounds, and hold their data before they begin.
PEERS = {
    "Evidently 0.7, its preset", "NannyML 0.13, by chunk", "a loop of scipy.stats.ks_2samp", "a loop of PSI with NumPy",
    "a loop of scipy.stats.wasserstein_distance", "SUMMARIZE of DuckDB",
}
HEAD = ["seconds", "CPU seconds, all cores", "most memory", "takes", "takes CPU"]


def files(binary):
    """Drift between two files, and the profile of one, beside the peers."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        say(f"monitor: making 2 × {ROWS:,} rows of {COLUMNS} columns")
        paths = data(folder)
        drift = lambda *flags: lambda: mine(binary, "drift", *paths, *flags)  # noqa: E731
        theirs = lambda name: lambda: peer(name, *paths)  # noqa: E731
        own, floor = "mainspring drift", "reading both files with PyArrow, the floor"
        choice, exact, chunked = f"{own} --profile evidently", f"{own} --profile evidently --test ks", f"{own} --profile nannyml"
        subjects = {
            own: drift(),
            choice: drift("--profile", "evidently"),
            chunked: drift("--profile", "nannyml"),
            exact: drift("--profile", "evidently", "--test", "ks"),
            floor: theirs("read"),
            "Evidently 0.7, its preset": theirs("evidently"),
            "NannyML 0.13, by chunk": theirs("nannyml"),
            "a loop of scipy.stats.ks_2samp": theirs("ks"),
            "a loop of scipy.stats.wasserstein_distance": theirs("wasserstein"),
            "a loop of PSI with NumPy": theirs("psi"),
        }
        against = {
            **dict.fromkeys((own, choice, chunked, exact), [floor]),
            "Evidently 0.7, its preset": [own, choice],
            "NannyML 0.13, by chunk": [chunked],
            "a loop of scipy.stats.ks_2samp": [exact],
            "a loop of scipy.stats.wasserstein_distance": [choice],
            "a loop of PSI with NumPy": [own],
        }
        rows = [[f"drift, 2 × {ROWS:,} rows of {COLUMNS} numbers", *HEAD], *beside(subjects, against)]
        subjects = {
            "mainspring profile": lambda: mine(binary, "profile", paths[0], "-o", "json"),
            "SUMMARIZE of DuckDB": theirs("summarize"),
        }
        rows += [["the profile of one of these files", *HEAD], *beside(subjects, {"SUMMARIZE of DuckDB": ["mainspring profile"]})]
    return rows


MONITOR = "apiVersion: mainspring/v1\nkind: Monitor\nname: {name}\ndeployment: {name}\n{more}"


def watch(server, name, more=""):
    path = server.folder / f"{name}-monitor.yaml"
    path.write_text(MONITOR.format(name=name, more=more))
    server.cli("apply", "-f", str(path))


def cost(binary):
    """What a monitor takes of a deployment's throughput: two servers, one with a monitor, in turns over some minutes, so that
    each minute's look falls into some round. CPU a request counts what each server used over all of the time."""
    import parts_serving

    _, body = ours.files()
    minutes = WATCHED
    with parts_serving.served(binary) as bare, parts_serving.served(binary) as watched:
        watch(watched, "bench", "reference: {firstRows: 500}\n")
        servers = {"without a monitor": bare, "with one": watched}
        call = lambda server: lib.wrk(parts_serving.infer_url(server.url), "lua_post.lua", body, connections=16)  # noqa: E731
        subjects = {name: (lambda server=server: call(server)) for name, server in servers.items()}
        lib.alternate(subjects, rounds=1)
        say(f"monitor: {minutes} minutes with and without a monitor")
        spent = lambda: {name: server.cpu()[0] for name, server in servers.items()}  # noqa: E731
        before = spent()
        rounds = {name: [] for name in servers}
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            for name, found in lib.alternate(subjects, rounds=1).items():
                rounds[name] += found
        # The last minute's look, too.
        time.sleep(10)
        used = {name: now - before[name] for name, now in spent().items()}
        shown = json.loads(watched.cli("monitor", "show", "bench", "-o", "json"))
    each = {name: used[name] / sum(r["requests"] for r in found) * 1e6 for name, found in rounds.items()}
    found = {name: figures(r) for name, r in rounds.items()}
    lost = 1 - found["with one"]["rps"].median / found["without a monitor"]["rps"].median
    rows = [["a deployment of 30 columns, 16 connections", "requests/s", "p99, µs", "CPU of the server a request, µs"]]
    rows += [[name, found[name]["rps"].show(), found[name]["p99"].show(), f"{each[name]:.2f}"] for name in servers]
    more = each["with one"] / each["without a monitor"] - 1
    return [*rows, [f"difference; {len(shown.get('columns', []))} columns watched", f"{-lost:+.1%}", "", f"{more:+.1%}"]]


def wide_model(inputs):
    """A model of so many named inputs of one number each."""
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    names = [f"f{i:03}" for i in range(inputs)]
    graph = helper.make_graph(
        [helper.make_node("Concat", names, ["all"], axis=1), helper.make_node("MatMul", ["all", "w"], ["Y"])], "wide",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in names],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(numpy.ones((inputs, 1), numpy.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return names, model


def traffic(server, deployments, names, seconds):
    """64 rows for each deployment each ten seconds, from a few bodies in turn."""
    import numpy

    random = numpy.random.default_rng(0)
    of = lambda name: {"name": name, "datatype": "FP32", "shape": [64, 1], "data": random.normal(size=64).round(4).tolist()}  # noqa: E731
    bodies = [{"inputs": [of(name) for name in names]} for _ in range(8)]
    until, turn = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        began = time.monotonic()
        for i in range(deployments):
            lib.post(f"{server.url}/v2/models/wide{i:02}/infer", bodies[(turn + i) % 8])
        turn += 1
        time.sleep(max(0.0, 10 - (time.monotonic() - began)))


def made_wide(server, monitored, inputs, deployments):
    """Deployments of very many columns, with a monitor each or without; the names of the columns."""
    names, model = wide_model(inputs)
    version = ours.register(server, "wide", model)
    for i in range(deployments):
        server.deploy(f"wide{i:02}", f"models:/wide/{version}")
        if monitored:
            watch(server, f"wide{i:02}", "reference: {firstRows: 500}\n")
    return names


def resident(servers, inputs, deployments, minutes):
    """Of each server what was resident at most, at the median and at the end of some minutes of traffic, bytes."""
    names = [made_wide(server, monitored, inputs, deployments) for server, monitored in servers]
    sizes, done = [[] for _ in servers], threading.Event()

    def look():
        while not done.wait(0.2):
            for found, (server, _) in zip(sizes, servers):
                found.append(server.rss())

    with concurrent.futures.ThreadPoolExecutor() as pool:
        looking = pool.submit(look)
        try:
            load = [pool.submit(traffic, server, deployments, mine, 60 * minutes) for (server, _), mine in zip(servers, names)]
            for one in load:
                one.result()
        finally:
            done.set()
        looking.result()
    return [[max(found), sorted(found)[len(found) // 2], found[-1]] for found in sizes]


def wide(binary, inputs=500, deployments=20):
    """Memory of monitors of very many columns: two servers with the same deployments and the same traffic at the same time, one
    with a monitor each; then the monitors alone over a longer time, by a clock that is set by hand."""
    minutes = float(os.environ.get("BENCH_WIDE_MINUTES", "3"))
    with ours.Server(binary) as bare, ours.Server(binary) as watched:
        say(f"monitor: {minutes} minutes of {deployments} deployments of {inputs} columns, with and without monitors")
        sizes = resident([(bare, False), (watched, True)], inputs, deployments, minutes)
        shown = json.loads(watched.cli("monitor", "show", "wide00", "-o", "json"))
    standing = [column["standing"] for column in shown["columns"]]
    known = ", ".join(f"{standing.count(name)} {name}" for name in sorted(set(standing)))
    mb = lambda sizes: [f"{n / 1e6:.0f} MB" for n in sizes]  # noqa: E731
    rows = [
        [f"{deployments} deployments of {inputs} columns, {minutes:g} minutes", "most memory", "median", "at the end"],
        ["without monitors", *mb(sizes[0])],
        [f"with one each, of {known} columns each", *mb(sizes[1])],
        ["difference; target: 200 MB", *mb(b - a for a, b in zip(*sizes))],
    ]
    alone = example("mainspring-monitor", "wide_monitors", 1800)
    found = [(int(now), int(most)) for now, most in re.findall(r"^minute \d+: \+?(-?\d+) MB, at most \+?(-?\d+) MB", alone, re.MULTILINE)]
    if not found:
        raise RuntimeError(f"the monitors alone say nothing of their memory: {alone}")
    now = sorted(now for now, _ in found)
    shown = [f"{n} MB" for n in (max(most for _, most in found), now[len(now) // 2], found[-1][0])]
    return [*rows, [f"the monitors alone, {len(found)} minutes by a clock set by hand", *shown]]


def tiles(_binary):
    """Windows of tiles, and what tiles take on disk."""
    told = example("mainspring-journal", "thirty_days", 1800)
    rows = [["tiles", "measured", "target"]]
    for words, target in (("a window of 30 days of 20 columns", "50 ms"), ("the first after a start", ""),
                          ("reading the bytes of its files", "the floor"), ("its tiles on disk", ""),
                          ("a day of tiles of 500 columns on disk", "200 MB")):
        found = re.search(rf"^{re.escape(words)}: (.+)$", told, re.MULTILINE)
        if not found:
            raise RuntimeError(f"the bench of tiles says nothing of {words!r}: {told}")
        rows.append([words, found[1], target])
    return rows
