"""What the tests of all frameworks share: to log, register and deploy a model, to call it, and to compare."""

import concurrent.futures
import contextlib
import dataclasses
import json
import math
import os

import mlflow
import numpy
import pandas
import requests
import tritonclient.http
from mlflow.pyfunc import scoring_server
from tritonclient.utils import np_to_triton_dtype

# One worker each: the models of frameworks take long enough to get one a core, and each of those imports all of it.
SHARED = {"instances": 1, "python": {"env": "shared"}}


@dataclasses.dataclass
class Logged:
    """A registered model: rows as `predict` of mlflow takes them, and what its framework's own model says of them."""

    rows: object
    own: object
    folder: str = ""


# Bytes of memory that a framework's worker may need while it starts.
WORKER = 1_500_000_000


def at_once():
    """How many workers may start at a time: most of a start is an import, which one core does."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, StopIteration, ValueError), open("/proc/meminfo") as lines:
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return max(1, min(os.cpu_count() or 1, free // WORKER))


def register(server, prefix, logs):
    """Runs each function of `logs`, which logs a model with the name it is given, and deploys what it registers, the
    workers of earlier ones starting meanwhile."""
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment(prefix)
    found, deployed = {}, []
    with concurrent.futures.ThreadPoolExecutor(at_once()) as starting:
        for name, log in logs.items():
            with mlflow.start_run():
                found[name] = log(f"{prefix}-{name}")
            found[name].folder = mlflow.artifacts.download_artifacts(f"models:/{prefix}-{name}/1")
            deployed.append(starting.submit(server.deploy, f"{prefix}-{name}", f"models:/{prefix}-{name}/1", engine=SHARED))
    for each in deployed:
        each.result()
    return found


def arrays(rows):
    """An array for each input of the protocol."""
    if isinstance(rows, numpy.ndarray):
        return {"input": rows}
    if isinstance(rows, pandas.DataFrame):
        return {name: rows[name].to_numpy(dtype=object if rows[name].dtype.kind not in "biuf" else None) for name in rows}
    if isinstance(rows, list):
        return {"0": numpy.array(rows, object)}
    return rows


def infer(server, name, given):
    """Outputs by name; texts are decoded."""
    with tritonclient.http.InferenceServerClient(server.base, network_timeout=120) as client:
        inputs = []
        for label, array in given.items():
            inputs.append(tritonclient.http.InferInput(label, list(array.shape), np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        answer = client.infer(name, inputs)
        named = {output["name"]: answer.as_numpy(output["name"]) for output in answer.get_response()["outputs"]}
    return {label: numpy.vectorize(bytes.decode, otypes=[object])(array) if array.dtype == object else array for label, array in named.items()}


def same(got, expected, within=1e-5):
    """Texts equal; numbers as close as other threads of the same library come."""
    expected = numpy.asarray(expected)
    assert got.shape == expected.shape
    if got.dtype == object:
        assert (got == expected.astype(object)).all(), f"{got}\n{expected}"
    else:
        numpy.testing.assert_allclose(got, expected.astype(got.dtype), rtol=within, atol=within)


def close(got, expected, within=1e-5):
    """Two JSON documents that differ in the last digits of their numbers at most."""
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key in expected:
            close(got[key], expected[key], within)
    elif isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected):
            close(one, other, within)
    elif isinstance(expected, float):
        assert math.isclose(got, expected, rel_tol=within, abs_tol=within), f"{got} is not {expected}"
    else:
        assert got == expected


def forms(rows):
    """Bodies of MLflow's scoring protocol that hold these rows."""
    if isinstance(rows, pandas.DataFrame):
        yield {"dataframe_split": rows.to_dict(orient="split")}
        yield {"dataframe_records": rows.to_dict(orient="records")}
    elif isinstance(rows, numpy.ndarray):
        yield {"inputs": rows.tolist()}
        yield {"instances": rows.tolist()}
    else:
        yield {"inputs": rows}


def check_scoring(server, name, model):
    """Every form of MLflow's scoring protocol is answered as MLflow's own scoring server answers it."""
    loaded = mlflow.pyfunc.load_model(model.folder)
    for body in forms(model.rows):
        text = json.dumps(body)
        theirs = scoring_server.invocations(text, "application/json", loaded, loaded.metadata.get_input_schema())
        assert theirs.status == 200
        answer = requests.post(f"{server.url}/deployments/{name}/invocations", data=text, headers={"Content-Type": "application/json"}, timeout=120)
        assert answer.status_code == 200, answer.text
        close(answer.json(), json.loads(theirs.response))


def check_conversion(server, name, model, framework, *more):
    """`mainspring convert` makes version 2 of a deployed model: ONNX, served without Python, with the same answers."""
    said = server.cli("convert", f"{name}/1", "--env", "shared", *more)
    assert framework in said and f"registered as models:/{name}/2" in said
    server.deploy(f"{name}-onnx", f"models:/{name}/2")
    found = requests.get(f"{server.url}/api/v1/deployments/{name}-onnx").json()
    assert found["versions"][0]["engine"] == "onnxruntime"
    given = arrays(model.rows)
    expected, got = infer(server, name, given), infer(server, f"{name}-onnx", given)
    assert list(expected) == list(got)
    for label, values in expected.items():
        assert values.dtype == got[label].dtype
        numpy.testing.assert_allclose(got[label], values, rtol=1e-4, atol=1e-5)
