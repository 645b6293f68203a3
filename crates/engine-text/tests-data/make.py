"""Makes the small graphs that the tests run. Run it with the Python of `.venv`; its output is committed, so that
the tests need no Python. A token with the number i has the vector [i, -i, 1]."""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

HERE = pathlib.Path(__file__).parent
TABLE = numpy_helper.from_array(np.array([[i, -i, 1] for i in range(16)], "float32"), "table")
AXIS = numpy_helper.from_array(np.array([2], "int64"), "last")
SUM = numpy_helper.from_array(np.array([1], "int64"), "tokens")


def save(name, nodes, inputs, output, initializers=()):
    values = [h.make_tensor_value_info(*each) for each in inputs]
    graph = h.make_graph(nodes, name, values, [h.make_tensor_value_info(*output)], [TABLE, *initializers])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


IDS, MASK = ("input_ids", T.INT64, ["n", "q"]), ("attention_mask", T.INT64, ["n", "q"])
LOOK = h.make_node("Gather", ["table", "input_ids"], ["vectors"])

save("tokens", [h.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])], [IDS, MASK], ("last_hidden_state", T.FLOAT, ["n", "q", 3]))
save("tags", [h.make_node("Gather", ["table", "input_ids"], ["logits"])], [IDS, MASK], ("logits", T.FLOAT, ["n", "q", 3]))

# The sum of the vectors of those tokens that the mask shows.
WHOLE = [
    LOOK,
    h.make_node("Cast", ["attention_mask"], ["shown"], to=T.FLOAT),
    h.make_node("Unsqueeze", ["shown", "last"], ["column"]),
    h.make_node("Mul", ["vectors", "column"], ["masked"]),
    h.make_node("ReduceSum", ["masked", "tokens"], ["logits"], keepdims=0),
]
save("classes", WHOLE, [MASK, IDS], ("logits", T.FLOAT, ["n", 3]), [AXIS, SUM])

# INT32, and texts of four tokens only.
FOUR = [("input_ids", T.INT32, ["n", 4])]
save("four", [h.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])], FOUR, ("last_hidden_state", T.FLOAT, ["n", 4, 3]))

# A batch of one, and an input that no text gives.
save("one", [h.make_node("Gather", ["table", "input_ids"], ["y"])], [("input_ids", T.INT64, [1, "q"])], ("y", T.FLOAT, [1, "q", 3]))
save("pixels", [h.make_node("Gather", ["table", "pixel_values"], ["y"])], [("pixel_values", T.INT64, ["n", "q"])], ("y", T.FLOAT, ["n", "q", 3]))
