"""REST, gRPC, big tensors, reload, memory, start: what serving costs."""

import json
import os
import pathlib
import subprocess
import threading
import time
import urllib.error
import urllib.request

import lib
import ours
from lib import Figure, figures, say

CONNECTIONS = (1, 16, 64)


def tool(binary):
    """The program with the floors and the gRPC load; `make bench` builds it beside the server."""
    return pathlib.Path(binary).with_name("mainspring-bench")


class Empty(lib.Process):
    """A server of `mainspring-bench` that does nothing, by its words but the file that it names its port in."""

    def __init__(self, binary, *words):
        port_file = lib.OUT / f"{words[0]}.port"
        port_file.unlink(missing_ok=True)
        super().__init__([tool(binary), *words, port_file], lambda: port_file.exists() and port_file.read_text())
        self.url = f"http://127.0.0.1:{port_file.read_text()}"


class Floor(Empty):
    """Empty handlers on our own HTTP stack, answering as many bytes as the server does."""

    def __init__(self, binary, answer):
        (lib.OUT / "answer.json").write_bytes(answer)
        super().__init__(binary, "floor", lib.OUT / "answer.json")


def served(binary):
    """A server with the model deployed as `bench`."""
    server = ours.Server(binary)
    try:
        _, onnx = ours.boosted()
        version = ours.register(server, "bench", onnx)
        server.deploy("bench", f"models:/bench/{version}")
    except BaseException:
        server.__exit__()
        raise
    return server


def infer_url(base):
    return f"{base}/v2/models/bench/infer"


def engine(_binary):
    """Raw ONNX Runtime in process: no network, no parsing."""
    import numpy
    import onnxruntime

    model, body = ours.files()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])
    row = numpy.array(json.loads(body.read_text())["inputs"][0]["data"], dtype=numpy.float32).reshape(1, -1)
    times = []
    for _ in range(lib.ROUNDS):
        began = time.perf_counter()
        for _ in range(20_000):
            session.run(None, {"X": row})
        times.append((time.perf_counter() - began) / 20_000 * 1e6)
    return [["raw ONNX Runtime in process, called from Python", Figure.of(times).show(" µs", 1)]]


def rest(binary):
    """One row a request as v2 JSON: ours beside the floor, then each peer alone."""
    _, body = ours.files()
    with served(binary) as server:
        answer, _ = lib.post(infer_url(server.url), json.loads(body.read_text()))
        with Floor(binary, answer) as floor:
            measured = {}
            for connections in CONNECTIONS:
                say(f"rest: ours and the floor, {connections} connections")
                subjects = {
                    name: (lambda base=base: lib.wrk(infer_url(base), "lua_post.lua", body, connections=connections))
                    for name, base in (("floor", floor.url), ("mainspring", server.url))
                }
                lib.alternate(subjects, rounds=1)  # warm
                for name, rounds in lib.alternate(subjects).items():
                    measured.setdefault(name, {})[connections] = figures(rounds)
    for name, start in PEERS.items():
        say(f"rest: {name}")
        try:
            with start() as peer:
                measured[name] = {c: peer_rounds(peer, body, c) for c in CONNECTIONS}
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            say(f"rest: {name} is left out: {error}")
    return rest_table(measured)


def peer_rounds(peer, body, connections):
    once = lambda: lib.wrk(peer.url, "lua_post.lua", peer.body or body, connections=connections)  # noqa: E731
    once()
    return figures([once() for _ in range(lib.ROUNDS)])


def rest_table(measured):
    rows = [["", *[f"{c} connections, requests/s" for c in CONNECTIONS], "1 connection p50, µs", "p99, µs", "ours at 16", "ours at 64"]]
    mine = measured["mainspring"]
    for name, by in measured.items():
        ratios = [f"{mine[c]['rps'].median / by[c]['rps'].median:.2f} ×" for c in (16, 64)]
        rows.append([name, *[by[c]["rps"].show() for c in CONNECTIONS], by[1]["p50"].show(), by[1]["p99"].show(), *ratios])
    return rows


class Peer(lib.Process):
    def __init__(self, command, port, path, ready, body=None, **more):
        self.url, self.body = f"http://127.0.0.1:{port}{path}", body
        super().__init__(command, lib.answers(f"http://127.0.0.1:{port}{ready}"), **more)


def uvicorn(target, *flags, model=None, body=None):
    model = model or ours.files()[0]
    port = lib.free_port()
    command = [lib.venv("fastapi") / "uvicorn", target, *flags, "--port", str(port), "--log-level", "error", "--no-access-log"]
    return Peer(command, port, "/v2/models/bench/infer", "/ready", body, cwd=lib.HERE / "peers", BENCH_MODEL=str(model))


def mlserver(**more):
    return mlserver_peer("mlserver", ours.files()[0], **more)


def mlserver_peer(folder, model, body=None, workers=0):
    """MLServer with the runtime in `peers/<folder>`, given the model's file. Without worker processes it runs the
    model in its own; `None` leaves it to its default, which is one."""
    http, grpc, metrics = lib.free_port(), lib.free_port(), lib.free_port()
    python = lib.venv("mlserver")
    ports = {"MLSERVER_HTTP_PORT": str(http), "MLSERVER_GRPC_PORT": str(grpc), "MLSERVER_METRICS_PORT": str(metrics)}
    settings = {"MLSERVER_DEBUG": "false", "PATH": f"{python}:{os.environ['PATH']}"}
    if workers is not None:
        settings["MLSERVER_PARALLEL_WORKERS"] = str(workers)
    return Peer([python / "mlserver", "start", "."], http, "/v2/models/bench/infer", "/v2/models/bench/ready",
                cwd=lib.HERE / "peers" / folder, body=body, BENCH_MODEL=str(model), **ports, **settings)


def mlflow_models():
    """`mlflow models serve` of the same ONNX file, with MLflow's own request form."""
    import shutil
    import sys

    import mlflow
    import models

    _, body = ours.files()
    folder = lib.OUT / "mlflow-model"
    shutil.rmtree(folder, ignore_errors=True)
    with models.quiet():
        mlflow.onnx.save_model(ours.boosted()[1], str(folder), pip_requirements=["onnxruntime"])
    row = json.loads(body.read_text())["inputs"][0]["data"]
    scoring = lib.OUT / "scoring.json"
    scoring.write_text(json.dumps({"inputs": [row]}))
    port = lib.free_port()
    mlflow_bin = pathlib.Path(sys.executable).parent / "mlflow"
    command = [mlflow_bin, "models", "serve", "-m", str(folder), "--env-manager", "local", "-p", str(port)]
    return Peer(command, port, "/invocations", "/ping", body=scoring, PATH=f"{mlflow_bin.parent}:{os.environ['PATH']}")


PEERS = {
    "bare ASGI handler + onnxruntime, uvicorn": lambda: uvicorn("onnx_app:asgi"),
    "FastAPI + onnxruntime, uvicorn": lambda: uvicorn("onnx_app:fastapi", "--factory"),
    "MLServer as it starts": lambda: mlserver(workers=None),
    "MLServer without worker processes": mlserver,
    "mlflow models serve": mlflow_models,
}


def grpc(binary):
    """`ModelInfer` with raw contents, one row a call."""
    program = tool(binary)

    def one(base, connections):
        command = [program, "grpc", base, "bench", str(ours.COLUMNS), str(connections), str(lib.SECONDS)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    ours_, theirs = "empty handler on our own HTTP stack", "empty handler on tonic's own server"
    rows = [["", "connections", "calls/s", "p50, µs", "p99, µs", "share of ours empty", "of tonic's"]]
    with served(binary) as server, Floor(binary, b"{}") as floor, Empty(binary, "tonic") as stock:
        for connections in CONNECTIONS:
            say(f"grpc: {connections} connections")
            bases = {ours_: floor.url, theirs: stock.url, "mainspring": server.url}
            subjects = {name: (lambda base=base: one(base, connections)) for name, base in bases.items()}
            lib.alternate(subjects, rounds=1)
            found = {name: figures(rounds) for name, rounds in lib.alternate(subjects).items()}
            for name, f in found.items():
                shares = [f"{f['rps'].median / found[floor]['rps'].median:.0%}" for floor in (ours_, theirs)]
                rows.append([name, str(connections), f["rps"].show(), f["p50"].show(), f["p99"].show(), *shares])
    return rows


def tensors(binary):
    """A tensor of 1 MB in and out with the binary extension, beside an echo of the same bytes."""
    import numpy
    import onnx
    from onnx import TensorProto, helper

    side = 262_144
    graph = helper.make_graph(
        [helper.make_node("Identity", ["X"], ["Y"])], "identity",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, side])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, side])],
    )
    identity = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(identity)
    lib.OUT.mkdir(exist_ok=True)
    head = json.dumps({
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [1, side], "parameters": {"binary_data_size": side * 4}}],
        "outputs": [{"name": "Y", "parameters": {"binary_data": True}}],
    }).encode()
    body = lib.OUT / "tensor.bin"
    body.write_bytes(head + numpy.arange(side, dtype=numpy.float32).tobytes())
    rows = [["", "connections", "requests/s", "p50, µs", "share of the echo"]]
    with ours.Server(binary) as server, Floor(binary, b"{}") as floor:
        server.deploy("bench", f"models:/identity/{ours.register(server, 'identity', identity)}")
        urls = {"echo through the same stack": f"{floor.url}/echo", "mainspring": infer_url(server.url)}
        for connections in (1, 4):
            say(f"tensors: {connections} connections")
            subjects = {
                name: (lambda url=url: lib.wrk(url, "lua_post.lua", body, "inference-header-content-length", len(head), connections=connections))
                for name, url in urls.items()
            }
            lib.alternate(subjects, rounds=1)
            both = {name: figures(rounds) for name, rounds in lib.alternate(subjects).items()}
            for name, f in both.items():
                share = f"{f['rps'].median / both['echo through the same stack']['rps'].median:.0%}"
                rows.append([name, str(connections), f["rps"].show(), f["p50"].show(), share])
    return rows


def reload(binary):
    """An alias moves while 16 connections keep calling."""
    import mlflow

    _, body = ours.files()
    steady, swap, failures = [], [], 0
    with ours.Server(binary) as server:
        _, onnx = ours.boosted()
        versions = [ours.register(server, "bench", onnx) for _ in range(2)]
        client = mlflow.MlflowClient(server.url)
        client.set_registered_model_alias("bench", "live", versions[0])
        server.deploy("bench", "models:/bench@live")
        call = lambda: lib.wrk(infer_url(server.url), "lua_post.lua", body, connections=16)  # noqa: E731
        call()
        for n in range(lib.ROUNDS):
            say(f"reload: round {n + 1}")
            steady.append(call())
            stop = threading.Event()

            def move():
                # A new version each half second: the swap fills the whole round.
                at = n
                while not stop.wait(0.5):
                    at += 1
                    client.set_registered_model_alias("bench", "live", versions[at % 2])

            mover = threading.Thread(target=move)
            mover.start()
            swap.append(call())
            stop.set()
            mover.join()
        failures = sum(r["failures"] for r in steady + swap)
    p99 = [Figure.of(r["p99"] for r in rounds) for rounds in (steady, swap)]
    return [
        ["", "requests/s", "p99, µs", "failed requests"],
        ["steady", Figure.of(r["rps"] for r in steady).show(), p99[0].show(), str(sum(r["failures"] for r in steady))],
        ["a new version every half second", Figure.of(r["rps"] for r in swap).show(), p99[1].show(), str(failures)],
        ["ratio of p99", "", f"{p99[1].median / p99[0].median:.2f} ×", ""],
    ]


def memory(binary):
    """Resident memory with three models under load, and after a hundred loads and unloads."""
    import models

    _, body = ours.files()
    with ours.Server(binary) as server:
        idle = server.rss()
        _, onnx = ours.boosted()
        server.deploy("bench", f"models:/bench/{ours.register(server, 'bench', onnx)}")
        import mlflow

        mlflow.set_tracking_uri(server.url)
        _, wine = models.train_wine()
        _, diabetes = models.train_diabetes()
        server.deploy("wine", f"models:/wine/{wine.version}")
        server.deploy("diabetes", f"models:/diabetes/{diabetes.version}")
        most, done = [0], threading.Event()

        def watch():
            while not done.wait(0.05):
                most[0] = max(most[0], server.rss())

        watching = threading.Thread(target=watch)
        watching.start()
        for connections in (16, 64):
            lib.wrk(infer_url(server.url), "lua_post.lua", body, connections=connections, seconds=10)
        done.set()
        watching.join()
        # What a seal of the journal was made with goes back as soon as it is done.
        time.sleep(2)
        loaded, mapped = server.rss(), server.mapped()
        say("memory: 100 loads and unloads")
        for _ in range(5):
            cycle(server)
        before = server.rss()
        for _ in range(100):
            cycle(server)
        after = server.rss()
    mb = lambda n: f"{n / 1e6:.0f} MB"  # noqa: E731
    return [
        ["resident memory", ""],
        ["just started", mb(idle)],
        ["most during load, three models", mb(most[0])],
        ["two seconds after it", f"{mb(loaded)}, of which {mb(mapped)} are pages of the program and of its libraries"],
        ["before 100 loads and unloads", mb(before)],
        ["after them", f"{mb(after)} ({after / before - 1:+.1%})"],
    ]


def cycle(server):
    server.deploy("again", "models:/bench/1")
    server.cli("delete", "deployment", "again")
    url = f"{server.url}/v2/models/again/ready"
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        time.sleep(0.002)
    raise RuntimeError("a deleted deployment stays ready")


def start(binary):
    """From `mainspring up` on a data folder with a declared deployment to the first answer."""
    import tempfile

    _, body = ours.files()
    document = json.loads(body.read_text())
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        with ours.Server(binary, folder=folder) as server:
            _, onnx = ours.boosted()
            server.deploy("bench", f"models:/bench/{ours.register(server, 'bench', onnx)}")
        times = []
        for _ in range(lib.ROUNDS):
            began = time.monotonic()
            with ours.Server(binary, folder=folder) as server:
                while True:
                    try:
                        lib.post(infer_url(server.url), document)
                        break
                    except OSError:
                        if time.monotonic() - began > 60:
                            raise
                        time.sleep(0.002)
                times.append(time.monotonic() - began)
    return [["`mainspring up` to the first prediction", Figure.of(t * 1000 for t in times).show(" ms")]]
