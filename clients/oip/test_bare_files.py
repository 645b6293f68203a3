"""A graph that is logged as a plain file, with weights in a file beside it, is deployed by its own path."""

import mlflow
import numpy
import onnx
import tritonclient.http as triton
from onnx import TensorProto, helper, numpy_helper


def weighted(folder, factor):
    """`y = x * factor`, whose factor is kept in `graph.data`; beside it lies a file that is no model."""
    weights = numpy_helper.from_array(numpy.full(1024, factor, dtype=numpy.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1024]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "weighted", [x], [y], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, folder / "graph.onnx", save_as_external_data=True, location="graph.data", size_threshold=0)
    (folder / "other.onnx").write_bytes(b"no graph")


def test_by_its_path(server, tmp_path):
    weighted(tmp_path, 3)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("bare-files")
    with mlflow.start_run() as run:
        for name in ("graph.onnx", "graph.data", "other.onnx"):
            mlflow.log_artifact(tmp_path / name)
    client = mlflow.MlflowClient()
    client.create_registered_model("bare-file")
    source = f"runs:/{run.info.run_id}/graph.onnx"
    client.create_model_version("bare-file", source, run.info.run_id)
    ones = triton.InferInput("x", [1, 1024], "FP32")
    ones.set_data_from_numpy(numpy.ones((1, 1024), dtype=numpy.float32))
    for name, uri in (("bare-run", source), ("bare-version", "models:/bare-file/1")):
        server.deploy(name, uri)
        answer = triton.InferenceServerClient(server.base).infer(name, [ones])
        assert (answer.as_numpy("y") == 3).all()
