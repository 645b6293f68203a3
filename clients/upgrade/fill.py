"""Make a backup of what users leave on a server, for `test_upgrade.py`: with the binary of a version that others upgrade from.

    MAINSPRING_BIN=an-earlier-mainspring python clients/upgrade/fill.py clients/upgrade/YYYY-MM.tar.xz

What is kept here is never made anew: the file is as old as it says. Another version adds another file.
"""

import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import mlflow
import numpy
import requests
from mainspring_server import Mainspring, binary
from mlflow.models import infer_signature
from onnx import TensorProto, helper

NAME = "doubled"


def model(by):
    """Multiplies `x`."""
    value = helper.make_tensor_value_info
    factor = helper.make_tensor("factor", TensorProto.FLOAT, [1], [by])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "factor"], ["y"])], NAME, [value("x", TensorProto.FLOAT, [None, 1])],
                              [value("y", TensorProto.FLOAT, [None, 1])], [factor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def declared(text):
    return "apiVersion: mainspring/v1\n" + text


def fill(server):
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("upgrades")
    client = mlflow.MlflowClient(server.url)
    for by in (2, 3):
        with mlflow.start_run(run_name=f"times-{by}") as run:
            mlflow.log_params({"by": by})
            mlflow.log_metrics({"loss": 1 / by}, step=0)
            mlflow.log_metrics({"loss": 0.5 / by}, step=1)
            mlflow.set_tag("team", "ranking")
            mlflow.log_input(mlflow.data.from_numpy(numpy.ones((4, 1), dtype="float32"), name="ones"))
            mlflow.log_text("what was thought\n", "notes/thoughts.txt")
            mlflow.onnx.log_model(model(by), name="model", registered_model_name=NAME, pip_requirements=["onnxruntime"],
                                  signature=infer_signature(numpy.ones((2, 1), dtype="float32"), numpy.ones((2, 1), dtype="float32")))
            if by == 2:
                client.log_batch(run.info.run_id, metrics=[mlflow.entities.Metric("wave", float(i % 7), 1_760_000_000_000 + i, i) for i in range(3000)])
    client.set_registered_model_alias(NAME, "champion", "1")
    client.set_model_version_tag(NAME, "2", "checked", "yes")
    with mlflow.start_run(run_name="gone") as run:
        pass
    client.delete_run(run.info.run_id)
    server.deploy(NAME, f"models:/{NAME}@champion")
    server.apply(declared("kind: Monitor\nname: doubled-drift\ndeployment: doubled\ncolumns: [in.*]\n"))
    for at in range(20):
        sent = requests.post(f"{server.url}/v2/models/{NAME}/infer", json={
            "id": f"order-{at}", "inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [at, at + 0.5]}]})
        assert sent.status_code == 200, sent.text
    pieces = [{"deployment": NAME, "id": f"order-{at}", "row": 0, "name": "y", "value": 2.0 * at} for at in range(10)]
    assert requests.post(f"{server.url}/api/v1/feedback", json={"feedback": pieces}).status_code == 200
    server.apply(declared(f"kind: Rollout\nname: thrice\ndeployment: {NAME}\ncandidates: [{{name: thrice, model: 'models:/{NAME}/2'}}]\n"
                          "steps: [{canary: {weight: 10, minExposures: 100000}}]\nmetrics: {guardrails: [{name: errors, kind: errors}]}\n"))
    until = time.monotonic() + 60
    while "canary 10%" not in (said := server.cli("rollout", "status", "thrice", check=False)).stdout:
        assert time.monotonic() < until, said
        time.sleep(0.5)
    server.cli("rollout", "abort", "thrice")
    server.cli("key", "create", "ci of last month", "--role", "write")


def main():
    to = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        data, saved = pathlib.Path(folder) / "data", pathlib.Path(folder) / "backup"
        server = Mainspring(data=data)
        try:
            fill(server)
        finally:
            server.stop()
        subprocess.run([binary(), "backup", str(saved), "--data", str(data)], check=True)
        with tarfile.open(to, "w:xz") as tar:
            tar.add(saved, "backup")
    print(f"{to.name}: {to.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
