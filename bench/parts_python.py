"""A scikit-learn model as it was logged: our workers beside MLflow's and MLServer's own servers."""

import json
import os
import pathlib
import shutil
import sys
import time

import lib
import ours
import parts_serving
from lib import Figure, figures, say

CONNECTIONS = (1, 16, 64)
BATCH = 1000
CONVERTED = "mainspring, v2, after convert"
SHARED = "engine: {python: {env: shared}}\n"


def trained():
    """A scaler and a logistic regression on the 30 named columns: (model, held-out rows)."""
    import models
    from sklearn import datasets, linear_model, pipeline, preprocessing

    data = models.load(datasets.load_breast_cancer)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    return model.fit(data.train_x, data.train_y), data.test_x


def bodies(rows):
    """One row in MLflow's form and in v2's, one input a column."""
    row = rows.head(1)
    scoring, v2 = lib.OUT / "python-scoring.json", lib.OUT / "python-v2.json"
    scoring.write_text(json.dumps({"dataframe_split": row.to_dict(orient="split", index=False)}))
    columns = [{"name": name, "datatype": "FP32", "shape": [1, 1], "data": [float(row[name].iloc[0])]} for name in row.columns]
    v2.write_text(json.dumps({"inputs": columns}))
    return scoring, v2


def logged(model, rows):
    """The MLflow model in a folder."""
    import mlflow
    import models

    folder = lib.OUT / "python-model"
    shutil.rmtree(folder, ignore_errors=True)
    with models.quiet():
        signature = mlflow.models.infer_signature(rows, model.predict(rows))
        mlflow.sklearn.save_model(model, str(folder), signature=signature, pip_requirements=["scikit-learn"])
    return folder


def in_process(folder, rows):
    """Seconds that the model's own predict, loaded by mlflow, needs for one row and for a batch."""
    import mlflow

    loaded = mlflow.pyfunc.load_model(str(folder))
    one, batch = rows.head(1), repeated(rows)
    for data in (one, batch):
        loaded.predict(data)
    return loaded, one, batch


def repeated(rows):
    import pandas

    return pandas.concat([rows] * (BATCH // len(rows) + 1), ignore_index=True).head(BATCH)


def timed(work, seconds=None):
    """Mean seconds of one call, over one round."""
    began, calls = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < (seconds or lib.SECONDS):
        work()
        calls += 1
    return spent / calls


def python(binary):
    """One row a request, then a thousand rows a request, then a server that has nothing to do."""
    import mlflow
    import models

    lib.OUT.mkdir(exist_ok=True)
    model, rows = trained()
    scoring, v2 = bodies(rows)
    folder = logged(model, rows)
    measured, own = {}, {}
    with ours.Server(binary, "--python", sys.executable) as server:
        mlflow.set_tracking_uri(server.url)
        with models.quiet():
            mlflow.set_experiment("bench")
            with mlflow.start_run():
                signature = mlflow.models.infer_signature(rows, model.predict(rows))
                mlflow.sklearn.log_model(model, name="model", registered_model_name="bench", signature=signature, pip_requirements=["scikit-learn"])
        server.deploy("bench", "models:/bench/1", more=SHARED)
        subjects = {
            "mainspring, MLflow's form": (f"{server.url}/deployments/bench/invocations", scoring),
            "mainspring, v2": (f"{server.url}/v2/models/bench/infer", v2),
        }
        for name, (url, body) in subjects.items():
            say(f"python: {name}")
            measured[name] = rounds(url, body)
        say("python: after convert")
        compared = lib.OUT / "python-rows.parquet"
        rows.to_parquet(compared)
        server.cli("convert", "bench/1", "--env", "shared", "--data", str(compared))
        server.deploy("bench-fast", "models:/bench/1", more=SHARED + "prefer: onnx\n")
        measured[CONVERTED] = rounds(f"{server.url}/v2/models/bench-fast/infer", v2)
        answer, _ = lib.post(f"{server.url}/v2/models/bench-fast/infer", json.loads(v2.read_text()))
        converted = next(pathlib.Path(mlflow.artifacts.download_artifacts("models:/bench/2")).rglob("*.onnx"))
        own = batches(server, folder, rows)
        own += idle(server)
    for name, start in (("mlflow models serve", lambda: mlflow_models(folder, scoring)), ("MLServer without worker processes", lambda: mlserver(model, v2))):
        say(f"python: {name}")
        with start() as peer:
            measured[name] = rounds(peer.url, peer.body)
    # What the spine is beside, with the converted file and the same body.
    with parts_serving.Floor(binary, answer) as floor:
        measured["floor, the same bytes as the converted model"] = rounds(parts_serving.infer_url(floor.url), v2)
    for name, target in (("bare ASGI handler, the converted model", ["onnx_app:asgi"]), ("FastAPI, the converted model", ["onnx_app:fastapi", "--factory"])):
        say(f"python: {name}")
        with parts_serving.uvicorn(*target, model=converted, body=v2) as peer:
            measured[name] = rounds(peer.url, peer.body)
    return table(measured) + own


def rounds(url, body):
    found = {}
    for connections in CONNECTIONS:
        once = lambda c=connections: lib.wrk(url, "lua_post.lua", body, connections=c)  # noqa: E731
        once()
        found[connections] = figures([once() for _ in range(lib.ROUNDS)])
    return found


def batches(server, folder, rows):
    """A thousand rows through the worker, beside the same rows through the model in this process."""
    import urllib.request

    loaded, _, batch = in_process(folder, rows)
    head, data = binary_batch(batch)
    request = urllib.request.Request(
        f"{server.url}/v2/models/bench/infer", head + data,
        {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"},
    )

    def call():
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    say("python: a thousand rows a request")
    call()
    estimator = loaded.get_raw_model()
    all_three = lib.alternate({
        "bare": lambda: timed(lambda: estimator.predict(batch)),
        "own": lambda: timed(lambda: loaded.predict(batch)),
        "ours": lambda: timed(call),
    })
    took = {name: Figure.of(t * 1e3 for t in values) for name, values in all_three.items()}
    return [
        [f"{BATCH} rows: scikit-learn's predict in process, of a data frame at hand", took["bare"].show(" ms", 2), "", "", "", "", ""],
        [f"{BATCH} rows: the logged model's predict in process, as MLflow loads it", took["own"].show(" ms", 2), "", "", "", "", ""],
        [f"{BATCH} rows: through the worker, binary v2", took["ours"].show(" ms", 2), "", "", "",
         f"{took['ours'].median / took['own'].median:.2f} × the time", ""],
    ]


def binary_batch(batch):
    import numpy

    columns = {name: numpy.ascontiguousarray(batch[name].to_numpy(dtype=numpy.float32)) for name in batch.columns}
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [len(values), 1], "parameters": {"binary_data_size": values.nbytes}}
        for name, values in columns.items()
    ]
    return json.dumps({"inputs": inputs}).encode(), b"".join(values.tobytes() for values in columns.values())


def idle(server):
    """CPU time that the server and its workers take while nobody asks, a second. What the load before left to do is
    done by then, and the time is long beside the hundredth of a second in which it is counted."""
    say("python: idle")
    time.sleep(10)
    before, began = server.cpu(), time.monotonic()
    time.sleep(20)
    after, spent = server.cpu(), time.monotonic() - began
    each = [f"{(late - early) / spent * 1e3:.1f} ms" for early, late in zip(before, after)]
    names = ("idle, CPU time a second: the server", "idle, CPU time a second: the workers")
    return [[name, time_, "", "", "", "", ""] for name, time_ in zip(names, each)]


def mlflow_models(folder, body):
    port = lib.free_port()
    mlflow_bin = pathlib.Path(sys.executable).parent / "mlflow"
    command = [mlflow_bin, "models", "serve", "-m", str(folder), "--env-manager", "local", "-p", str(port)]
    return parts_serving.Peer(command, port, "/invocations", "/ping", body=body, PATH=f"{mlflow_bin.parent}:{os.environ['PATH']}")


def mlserver(model, body):
    import joblib

    joblib.dump(model, lib.OUT / "python-model.joblib")
    return parts_serving.mlserver_peer("mlserver-sklearn", lib.OUT / "python-model.joblib", body)


def table(measured):
    rows = [["one row a request", *[f"{c} connections, requests/s" for c in CONNECTIONS], "1 connection p50, µs", "ours at 16", "ours at 64"]]
    for name, by in measured.items():
        # Beside MLflow's own server in its own form, beside MLServer in v2.
        mine = measured["mainspring, MLflow's form" if "mlflow" in name else CONVERTED if "converted" in name else "mainspring, v2"]
        ratios = ["", ""] if name.startswith("mainspring") else [f"{mine[c]['rps'].median / by[c]['rps'].median:.2f} ×" for c in (16, 64)]
        rows.append([name, *[by[c]["rps"].show() for c in CONNECTIONS], by[1]["p50"].show(), *ratios])
    return rows
