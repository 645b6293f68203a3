"""Small ONNX models for the protocol's clients, registered through the mlflow client.

    python oip_models.py TRACKING_URL     registers all of them and prints nothing

The kserve client lives in an environment without mlflow; its tests run this file with the other one.
"""

import sys

import mlflow
import onnx
from onnx import TensorProto, helper

# The protocol's name of a type, and ONNX's.
TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def model(name, nodes, inputs, outputs):
    graph = helper.make_graph(nodes, name, inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def simple():
    """The model of Triton's own examples: the sum and the difference of two rows of 16 numbers."""
    tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.INT32, [None, 16])
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    return model("simple", nodes, [tensor("INPUT0"), tensor("INPUT1")], [tensor("OUTPUT0"), tensor("OUTPUT1")])


def identity(datatype):
    """Answers what it is given: rows of two values of one type."""
    tensor = lambda name: helper.make_tensor_value_info(name, TYPES[datatype], [None, 2])
    return model("identity", [helper.make_node("Identity", ["x"], ["y"])], [tensor("x")], [tensor("y")])


def large():
    """Rows of any length, doubled: for tensors of a megabyte."""
    tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None])
    return model("large", [helper.make_node("Add", ["x", "x"], ["y"])], [tensor("x")], [tensor("y")])


def reciprocal():
    """One over each value: infinite and not a number where the input asks for it."""
    tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2])
    return model("reciprocal", [helper.make_node("Reciprocal", ["x"], ["y"])], [tensor("x")], [tensor("y")])


def everything():
    return {
        "simple": simple(),
        "large": large(),
        "reciprocal": reciprocal(),
        **{f"identity-{datatype.lower()}": identity(datatype) for datatype in TYPES},
    }


def register(tracking_url):
    mlflow.set_tracking_uri(tracking_url)
    mlflow.set_experiment("oip")
    for name, made in everything().items():
        with mlflow.start_run():
            mlflow.onnx.log_model(made, name="model", registered_model_name=f"oip-{name}", pip_requirements=["onnxruntime"])


if __name__ == "__main__":
    register(sys.argv[1])
