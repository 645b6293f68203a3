"""A model whose inputs and outputs have several types, registered through the mlflow client."""

import mlflow
import onnx
import pandas
from mlflow.models import infer_signature
from onnx import TensorProto, helper

NAME = "journal-mixed"
TABLE = "journal-table"


def model():
    """Two features a row, a number and a text, handed through; their sum over a row comes out."""
    value = helper.make_tensor_value_info
    inputs = [
        value("features", TensorProto.FLOAT, [None, 2]),
        value("age", TensorProto.INT64, [None]),
        value("city", TensorProto.STRING, [None]),
    ]
    outputs = [
        value("sum", TensorProto.FLOAT, [None, 1]),
        value("age_out", TensorProto.INT64, [None]),
        value("city_out", TensorProto.STRING, [None]),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("ReduceSum", ["features", "axes"], ["sum"], keepdims=1),
        helper.make_node("Identity", ["age"], ["age_out"]),
        helper.make_node("Identity", ["city"], ["city_out"]),
    ]
    graph = helper.make_graph(nodes, "mixed", inputs, outputs, initializer=[axes])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def table():
    """One input of two columns side by side, as a tabular model takes them; their sum comes out."""
    value = helper.make_tensor_value_info
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    nodes = [helper.make_node("ReduceSum", ["X", "axes"], ["sum"], keepdims=1)]
    inputs, outputs = [value("X", TensorProto.FLOAT, [None, 2])], [value("sum", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph(nodes, "table", inputs, outputs, initializer=[axes])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def register(url):
    """Logs and registers both models: the second with a signature that names its columns."""
    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("journal")
    frame = pandas.DataFrame({"age": [20.0], "income": [0.5]})
    for name, made, signature in [(NAME, model(), None), (TABLE, table(), infer_signature(frame))]:
        with mlflow.start_run():
            mlflow.onnx.log_model(
                made, name="model", registered_model_name=name, signature=signature, pip_requirements=["onnxruntime"]
            )
