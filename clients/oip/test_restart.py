"""A start under an alias that points at what cannot be loaded."""

import json

import mlflow
import requests
from onnx import TensorProto, helper


def model(by):
    """Multiplies `x`."""
    value = helper.make_tensor_value_info
    factor = helper.make_tensor("factor", TensorProto.FLOAT, [1], [by])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "factor"], ["y"])], "times", [value("x", TensorProto.FLOAT, [None, 1])],
                              [value("y", TensorProto.FLOAT, [None, 1])], [factor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_answered_last_answers_until_the_alias_names_what_can_be_loaded(start, tmp_path):
    data = tmp_path / "data"
    server = start(data=data)
    client = mlflow.MlflowClient(server.url)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("restarts")
    for by in (2.0, 3.0, 4.0):
        with mlflow.start_run() as run:
            mlflow.onnx.log_model(model(by), name="model", registered_model_name="times", pip_requirements=["onnxruntime"])
            if by == 3.0:
                broken = client.get_model_version("times", "2")
    (file,) = [f for f in data.rglob("model.onnx") if broken.source.rsplit("/", 1)[-1] in str(f)]
    file.write_bytes(b"no graph")
    client.set_registered_model_alias("times", "champion", "1")
    server.deploy("times", "models:/times@champion")

    def infer(server):
        answer = requests.post(f"{server.url}/v2/models/times/infer", json={
            "inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [10]}]})
        assert answer.status_code == 200, answer.text
        return answer.json()["outputs"][0]["data"][0]

    def view(server):
        return json.loads(server.cli("get", "deployment", "times", "--output", "json"))

    assert infer(server) == 20
    client.set_registered_model_alias("times", "champion", "2")
    assert infer(server) == 20
    server.stop()
    # However often it starts, and after a crash.
    for _ in range(2):
        server = start(data=data)
        assert infer(server) == 20
        assert "model.onnx" in json.dumps(view(server)), "it says what is wrong with version 2"
        server.kill()
    server = start(data=data)
    mlflow.MlflowClient(server.url).set_registered_model_alias("times", "champion", "3")
    for _ in range(200):
        if infer(server) == 40:
            break
    assert infer(server) == 40
