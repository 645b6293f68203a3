"""Makes the small models that the tests serve. Run it with the Python of `.venv`; its output is
committed, so that the tests need no Python."""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h

HERE = pathlib.Path(__file__).parent
OPSET = [h.make_opsetid("", 17), h.make_opsetid("ai.onnx.ml", 3)]


def save(name, nodes, inputs, outputs, initializers=()):
    value = lambda v: h.make_tensor_value_info(*v)
    graph = h.make_graph(nodes, name, [value(i) for i in inputs], [value(o) for o in outputs], list(initializers))
    model = h.make_model(graph, opset_imports=OPSET, ir_version=8)
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


# What comes in goes out: [n, 4] numbers.
save("identity", [h.make_node("Identity", ["x"], ["y"])], [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])])

# Two inputs, two outputs, in another order than the alphabet's.
save(
    "add_sub",
    [h.make_node("Add", ["b", "a"], ["sum"]), h.make_node("Sub", ["b", "a"], ["difference"])],
    [("b", T.FLOAT, ["n", 2]), ("a", T.FLOAT, ["n", 2])],
    [("sum", T.FLOAT, ["n", 2]), ("difference", T.FLOAT, ["n", 2])],
)

# Every element type that can be served, one identity each.
TYPES = {
    "bool": T.BOOL, "u8": T.UINT8, "u16": T.UINT16, "u32": T.UINT32, "u64": T.UINT64, "i8": T.INT8, "i16": T.INT16,
    "i32": T.INT32, "i64": T.INT64, "f16": T.FLOAT16, "bf16": T.BFLOAT16, "f32": T.FLOAT, "f64": T.DOUBLE, "text": T.STRING,
}
save(
    "every_type",
    [h.make_node("Identity", [f"in_{k}"], [f"out_{k}"]) for k in TYPES],
    [(f"in_{k}", t, ["n", 2]) for k, t in TYPES.items()],
    [(f"out_{k}", t, ["n", 2]) for k, t in TYPES.items()],
)

# An output that is the input itself, which no node makes.
save("passthrough", [h.make_node("Neg", ["x"], ["y"])], [("x", T.FLOAT, ["n", 4])], [("x", T.FLOAT, ["n", 4]), ("y", T.FLOAT, ["n", 4])])

# Every element type that is a number.
NUMBERS = {k: t for k, t in TYPES.items() if t not in (T.BOOL, T.STRING)}
save(
    "every_number",
    [h.make_node("Identity", [f"in_{k}"], [f"out_{k}"]) for k in NUMBERS],
    [(f"in_{k}", t, ["n", 2]) for k, t in NUMBERS.items()],
    [(f"out_{k}", t, ["n", 2]) for k, t in NUMBERS.items()],
)

# 0/0: NaN for zeros, numbers otherwise.
save("nan", [h.make_node("Div", ["x", "x"], ["y"])], [("x", T.FLOAT, ["n", 1])], [("y", T.FLOAT, ["n", 1])])

# Not batchable: a fixed first dimension.
save("fixed", [h.make_node("Identity", ["x"], ["y"])], [("x", T.FLOAT, [3])], [("y", T.FLOAT, [3])])

# Declares [n, 2] and answers with as many columns as the values ask for.
save(
    "wrong_shape",
    [h.make_node("Reshape", ["x", "shape"], ["y"])],
    [("x", T.FLOAT, ["n", 4]), ("shape", T.INT64, [2])],
    [("y", T.FLOAT, ["n", 2])],
)

# Fails at run time for an index outside.
save(
    "gather",
    [h.make_node("Gather", ["table", "i"], ["y"])],
    [("i", T.INT64, ["n", 1])],
    [("y", T.FLOAT, ["n", 1])],
    [h.make_tensor("table", T.FLOAT, [3], [10.0, 20.0, 30.0])],
)

(HERE / "corrupt.onnx").write_bytes(b"\x08\x08\x12\x07nonsense" + bytes(range(64)))

# --- What exporters leave behind ---


def plain(name, nodes, inputs, outputs, initializers=(), opset=17, ir=8, domains=()):
    """A model that onnx's checker would not take, or need not see."""
    imports = [h.make_opsetid("", opset), *(h.make_opsetid(domain, 1) for domain in domains)]
    graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
    (HERE / f"{name}.onnx").write_bytes(h.make_model(graph, opset_imports=imports, ir_version=ir).SerializeToString())


numbers = lambda name, shape: h.make_tensor_value_info(name, T.FLOAT, shape)
identity = h.make_node("Identity", ["x"], ["y"])
rows = h.make_tensor_type_proto(T.FLOAT, ["n", 4])

# The batch of the example is left in the output.
plain("left_batch", [identity], [numbers("x", ["n", 4])], [numbers("y", [1, 4])])
# No shapes at all.
plain("open_rank", [identity], [numbers("x", None)], [numbers("y", None)])
plain("scalar", [h.make_node("Add", ["x", "x"], ["y"])], [numbers("x", [])], [numbers("y", [])])
# An input with a default need not be given.
plain("defaulted", [h.make_node("Add", ["x", "w"], ["y"])], [numbers("x", ["n", 4]), numbers("w", [4])],
      [numbers("y", ["n", 4])], [h.make_tensor("w", T.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])])
plain("no_inputs", [h.make_node("Constant", [], ["y"], value_floats=[1.0, 2.0])], [], [numbers("y", [2])])

# What cannot be served.
plain("optional", [h.make_node("OptionalGetElement", ["x"], ["y"])],
      [h.make_value_info("x", h.make_optional_type_proto(rows))], [numbers("y", ["n", 4])], opset=18)
plain("sequence_in", [h.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)],
      [h.make_value_info("x", h.make_sequence_type_proto(rows))], [numbers("y", ["n", 4])])
plain("sequence_out", [h.make_node("SequenceConstruct", ["x", "x"], ["y"])], [numbers("x", ["n", 4])],
      [h.make_value_info("y", h.make_sequence_type_proto(rows))])
eighths = lambda name: h.make_tensor_value_info(name, T.FLOAT8E4M3FN, ["n"])
plain("float8", [identity], [eighths("x")], [eighths("y")], opset=19)
plain("new_opset", [identity], [numbers("x", ["n", 4])], [numbers("y", ["n", 4])], opset=99)
plain("new_ir", [identity], [numbers("x", ["n", 4])], [numbers("y", ["n", 4])], ir=99)
plain("foreign_operator", [h.make_node("Mine", ["x"], ["y"], domain="my.ops")], [numbers("x", ["n", 4])],
      [numbers("y", ["n", 4])], domains=["my.ops"])

# Weights in a file beside the model, one of them inside the branch of an If.
weights = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32) * 2, "w")
branch = lambda name, tensor: h.make_graph([h.make_node("Constant", [], [name], value=tensor)], name, [], [numbers(name, [4, 4])])
other = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32) * 3, "v")
graph = h.make_graph(
    [h.make_node("If", ["yes"], ["v"], then_branch=branch("a", other), else_branch=branch("b", other)),
     h.make_node("MatMul", ["x", "w"], ["m"]), h.make_node("MatMul", ["m", "v"], ["y"])],
    "external", [numbers("x", ["n", 4])], [numbers("y", ["n", 4])],
    [weights, h.make_tensor("yes", T.BOOL, [], [True])])
external = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
(HERE / "weights.data").unlink(missing_ok=True)
onnx.save(external, HERE / "external.onnx", save_as_external_data=True, all_tensors_to_one_file=True, location="weights.data",
          size_threshold=0, convert_attribute=True)

# Texts and numbers in, classes out, as scikit-learn's pipelines are exported.
import pandas as pd  # noqa: E402
from skl2onnx import to_onnx  # noqa: E402
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402

people = pd.DataFrame({"city": ["Rome", "Oslo", "Rome", "Lima"] * 5, "age": np.arange(20, dtype=np.float32)})
bought = np.array(["no", "yes", "no", "yes"] * 5)
types = [("city", StringTensorType([None, 1])), ("age", FloatTensorType([None, 1]))]
for name, unknown in (("pipeline", "ignore"), ("strict_pipeline", "error")):
    columns = ColumnTransformer([("city", OneHotEncoder(handle_unknown=unknown), ["city"]), ("age", StandardScaler(), ["age"])])
    pipeline = make_pipeline(columns, LogisticRegression()).fit(people, bought)
    (HERE / f"{name}.onnx").write_bytes(to_onnx(pipeline, initial_types=types, target_opset=17).SerializeToString())

from sklearn.datasets import load_iris  # noqa: E402

x, y = load_iris(return_X_y=True)
x = x.astype(np.float32)
model = LogisticRegression(max_iter=500).fit(x, y)
(HERE / "iris.onnx").write_bytes(to_onnx(model, x[:1], options={"zipmap": False}, target_opset=17).SerializeToString())
(HERE / "zipmap.onnx").write_bytes(to_onnx(model, x[:1], target_opset=17).SerializeToString())

# The same with names of classes, and what scikit-learn itself says of some rows.
names = np.array(["setosa", "versicolor", "virginica"])[y]
named = LogisticRegression(max_iter=500).fit(x, names)
(HERE / "zipmap_text.onnx").write_bytes(to_onnx(named, x[:1], target_opset=17).SerializeToString())
rows = np.hstack([x[::15], model.predict_proba(x[::15])])
np.savetxt(HERE / "iris_expected.csv", rows, delimiter=",", fmt="%.7g")

# Gives fewer rows than it takes: its free first dimension is not the batch.
save(
    "nonzero",
    [h.make_node("NonZero", ["x"], ["t"]), h.make_node("Transpose", ["t"], ["y"], perm=[1, 0])],
    [("x", T.FLOAT, ["n", 2])],
    [("y", T.INT64, ["m", 2])],
)

# What the benches measure: 100 trees on 30 features.
from sklearn.datasets import load_breast_cancer  # noqa: E402
from sklearn.ensemble import GradientBoostingClassifier  # noqa: E402

x, y = load_breast_cancer(return_X_y=True)
trees = GradientBoostingClassifier(n_estimators=100, max_depth=3, random_state=0).fit(x, y)
onnx.save(to_onnx(trees, x[:1].astype(np.float32), options={"zipmap": False}, target_opset=17), HERE / "trees100.onnx")

# --- Columns that the model joins ---

column = lambda name, type, width=1: h.make_tensor_value_info(name, type, ["n", width])
cast = lambda name, to: h.make_node("Cast", [name], [f"{name}_cast"], to=to)
ML = ("ai.onnx.ml",)

# As skl2onnx writes tables of numbers: FP32 is made of all, and then FP64 again.
plain("vectorized",
      [cast("whole", T.DOUBLE), h.make_node("FeatureVectorizer", ["a", "whole_cast", "b"], ["m"], domain="ai.onnx.ml", inputdimensions=[1, 1, 2]),
       h.make_node("CastLike", ["m", "a"], ["y"])],
      [column("a", T.DOUBLE), column("b", T.DOUBLE, 2), column("whole", T.INT64)],
      [h.make_tensor_value_info("y", T.DOUBLE, ["n", 4])], domains=ML)
# Columns of two matrices and a text, in no order; one matrix is an output itself.
plain("concatenated",
      [cast("small", T.FLOAT), h.make_node("Concat", ["c", "small_cast", "a"], ["m"], axis=-1), h.make_node("Concat", ["d", "b"], ["w"], axis=1),
       h.make_node("Neg", ["m"], ["y"]), h.make_node("Identity", ["text"], ["t"])],
      [column("a", T.FLOAT), column("b", T.INT64), column("text", T.STRING), column("c", T.FLOAT, 2), column("d", T.INT64, 3), column("small", T.UINT8)],
      [column("y", T.FLOAT, 4), column("t", T.STRING), column("w", T.INT64, 4)])
# What is used for something else stays where it is.
pair = h.make_node("Concat", ["a", "b"], ["m"], axis=1)
two = [column("a", T.FLOAT), column("b", T.FLOAT)]
m = column("m", T.FLOAT, 2)
plain("joined_used", [pair, h.make_node("Neg", ["a"], ["y"])], two, [m, column("y", T.FLOAT)])
plain("joined_given", [pair], two, [m, column("a", T.FLOAT)])
plain("joined_twice", [h.make_node("Concat", ["a", "b", "a"], ["m"], axis=1)], two, [column("m", T.FLOAT, 3)])
plain("joined_rows", [h.make_node("Concat", ["a", "b"], ["m"], axis=0)], two, [column("m", T.FLOAT)])
plain("joined_default", [pair], two, [m], [h.make_tensor("b", T.FLOAT, [1, 1], [5.0])])
plain("joined_fixed", [pair], [numbers("a", [1, 1]), numbers("b", [1, 1])], [numbers("m", [1, 2])])
within = lambda name: h.make_graph([h.make_node("Identity", ["a"], [name])], name, [], [column(name, T.FLOAT)])
plain("joined_within", [pair, h.make_node("If", ["yes"], ["y"], then_branch=within("p"), else_branch=within("q"))], two,
      [m, column("y", T.FLOAT)], [h.make_tensor("yes", T.BOOL, [], [True])])
# A table of thirty columns, as scikit-learn's pipelines are exported.
x, y = load_breast_cancer(return_X_y=True)
fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
types = [(f"f{i}", FloatTensorType([None, 1])) for i in range(30)]
onnx.save(to_onnx(fitted, initial_types=types, options={"zipmap": False}, target_opset=17), HERE / "table.onnx")

# The same as `mainspring convert` writes them: around a model of one matrix, and around one that takes its columns by name.
sys.path.insert(0, str(HERE.parents[1] / "convert" / "src" / "python"))
import graph as around  # noqa: E402

spec = lambda name, dtype: {"name": name, "dtype": dtype, "shape": [-1]}
answer = [{"name": "probabilities", "dtype": "FP64", "shape": [-1, 2]}]
inner = to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 30]))], options={"zipmap": False}, target_opset={"": 18, "ai.onnx.ml": 3})
for name, dtype in (("converted", "FP64"), ("converted_singles", "FP32"), ("converted_whole", "INT64")):
    onnx.save(around.wrap(inner, [spec(f"f{i}", dtype) for i in range(30)], answer, [(1, None)]), HERE / f"{name}.onnx")

people["visits"] = np.arange(20)[::-1]
people["income"] = np.linspace(1, 2, 20)
numeric = ["age", "visits", "income"]
columns = ColumnTransformer([("city", OneHotEncoder(handle_unknown="ignore"), ["city"]), ("numbers", StandardScaler(), numeric)])
mixed = make_pipeline(columns, LogisticRegression()).fit(people, bought == "yes")
types = [("city", StringTensorType([None, 1])), ("age", FloatTensorType([None, 1])), ("visits", Int64TensorType([None, 1])), ("income", FloatTensorType([None, 1]))]
inner = to_onnx(mixed, initial_types=types, options={"zipmap": False}, target_opset={"": 18, "ai.onnx.ml": 3})
specs = [spec("city", "BYTES"), spec("age", "FP32"), spec("visits", "INT64"), spec("income", "FP64")]
onnx.save(around.wrap(inner, specs, answer, [(1, None)]), HERE / "converted_mixed.onnx")
