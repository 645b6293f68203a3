"""Makes the models that the tests of rollouts serve. Run it with the Python of `.venv`; its output is committed, so that the
tests need no Python.

All take three numbers, of which the first alone says what is true, and answer a label of 0 or 1.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h

HERE = pathlib.Path(__file__).parent


def save(name, weights, after=(), more=()):
    """A linear model with these weights; `after` are nodes that make `score` of `linear`, with `more` constants."""
    w = onnx.numpy_helper.from_array(np.array(weights, dtype=np.float32).reshape(3, 1), "w")
    zero = h.make_tensor("zero", T.FLOAT, [], [0.0])
    nodes = [
        h.make_node("MatMul", ["x", "w"], ["linear"]),
        *(after or [h.make_node("Identity", ["linear"], ["score"])]),
        h.make_node("Greater", ["score", "zero"], ["positive"]),
        h.make_node("Cast", ["positive"], ["label"], to=T.INT64),
    ]
    inputs = [h.make_tensor_value_info("x", T.FLOAT, ["n", 3])]
    outputs = [h.make_tensor_value_info("label", T.INT64, ["n", 1])]
    graph = h.make_graph(nodes, name, inputs, outputs, [w, zero, *more])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


# A product of squares of this side takes some milliseconds.
SIDE = 256

save("weak", [0, 1, 0])
save("good", [1, 0, 0])
save("wrong", [-1, 0, 0])
# As good, after much that comes to nothing: it hangs on the input, so that nothing can be worked out beforehand.
save("slow", [1, 0, 0], [
    h.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
    h.make_node("Mul", ["most", "zero"], ["none"]),
    h.make_node("Expand", ["none", "side"], ["square"]),
    *(h.make_node("MatMul", [f"square{i or ''}", "square"], [f"square{i + 1}"]) for i in range(8)),
    h.make_node("ReduceMax", ["square8"], ["nothing"], keepdims=0),
    h.make_node("Add", ["linear", "nothing"], ["score"]),
], [h.make_tensor("side", T.INT64, [2], [SIDE, SIDE])])
# Takes the zeros that it is warmed up with: of anything else it makes a shape that does not fit.
save("broken", [1, 0, 0], [
    h.make_node("Abs", ["x"], ["size"]),
    h.make_node("ReduceMax", ["size"], ["most"], keepdims=0),
    h.make_node("Ceil", ["most"], ["whole"]),
    h.make_node("Cast", ["whole"], ["more"], to=T.INT64),
    h.make_node("Shape", ["linear"], ["fits"]),
    h.make_node("Add", ["fits", "more"], ["shape"]),
    h.make_node("Reshape", ["linear", "shape"], ["score"]),
])
