"""Models of MLflow's onnx flavour with each kind of signature, and requests for them.

Every model is small enough to see what it answers, or trained on a data set that ships with
scikit-learn.
"""

import json
import math

import mlflow
import numpy
import onnx
import pandas
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression


def graph(name, nodes, inputs, outputs):
    made = helper.make_model(helper.make_graph(nodes, name, inputs, outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def iris():
    data = load_iris(as_frame=True)
    frame = data.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    return frame, data.target


def regressor():
    frame, target = iris()
    fitted = LinearRegression().fit(frame.values.astype(numpy.float32), target)
    return to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 4]))], target_opset=17)


def classifier(zipmap):
    frame, target = iris()
    fitted = LogisticRegression(max_iter=500).fit(frame.values.astype(numpy.float32), target)
    options = {id(fitted): {"zipmap": zipmap}}
    return to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 4]))], options=options, target_opset=17)


def people():
    """Two inputs of their own, a number and a text, passed through."""
    nodes = [helper.make_node("Add", ["age", "age"], ["doubled"]), helper.make_node("Identity", ["city"], ["where"])]
    return graph("people", nodes, [info("age", TensorProto.DOUBLE, [None, 1]), info("city", TensorProto.STRING, [None, 1])],
                 [info("doubled", TensorProto.DOUBLE, [None, 1]), info("where", TensorProto.STRING, [None, 1])])


def image():
    """Squares of two by two, doubled."""
    return graph("image", [helper.make_node("Add", ["img", "img"], ["out"])], [info("img", TensorProto.FLOAT, [None, 2, 2])],
                 [info("out", TensorProto.FLOAT, [None, 2, 2])])


# A column of each type that ONNX has, by its name.
TYPED = {"b": ("boolean", TensorProto.BOOL), "i": ("integer", TensorProto.INT32), "l": ("long", TensorProto.INT64),
         "f": ("float", TensorProto.FLOAT), "d": ("double", TensorProto.DOUBLE)}


def typed():
    """A column of each type of number, passed through."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in TYPED]
    return graph("typed", nodes, [info(name, kind, [None]) for name, (_, kind) in TYPED.items()],
                 [info(f"{name}_out", kind, [None]) for name, (_, kind) in TYPED.items()])


def typed_signature(required=True):
    return ModelSignature(Schema([ColSpec(declared, name, required=required) for name, (declared, _) in TYPED.items()]))


def texts():
    """A number and a text, passed through; the text is a column of bytes to one of the signatures."""
    nodes = [helper.make_node("Identity", ["n"], ["n_out"]), helper.make_node("Identity", ["t"], ["t_out"])]
    return graph("texts", nodes, [info("n", TensorProto.DOUBLE, [None]), info("t", TensorProto.STRING, [None])],
                 [info("n_out", TensorProto.DOUBLE, [None]), info("t_out", TensorProto.STRING, [None])])


def signature(data):
    return infer_signature(data)


def models():
    """By name: the model and its signature."""
    frame, _ = iris()
    array = frame.values.astype(numpy.float32)
    two = pandas.DataFrame({"age": [1.5, 2.5], "city": ["Rome", "Oslo"]})
    return {
        "plain": (regressor(), None),
        "columns": (regressor(), signature(frame)),
        "tensor": (regressor(), signature(array)),
        "named": (regressor(), signature({"X": array})),
        "zipmap": (classifier(True), None),
        "zipmap-columns": (classifier(True), signature(frame)),
        "matrix": (classifier(False), signature(array)),
        "people": (people(), None),
        "people-columns": (people(), signature(two)),
        "image": (image(), signature({"img": numpy.zeros((2, 2, 2), numpy.float32)})),
        "typed": (typed(), typed_signature()),
        "typed-optional": (typed(), typed_signature(required=False)),
        "texts": (texts(), ModelSignature(Schema([ColSpec("double", "n"), ColSpec("string", "t")]))),
        "whole": (regressor(), ModelSignature(Schema([ColSpec(kind, name) for name, kind in zip(frame, ("long", "integer", "double", "float"))]))),
        "params": (regressor(), ModelSignature(Schema([ColSpec("double", name) for name in frame]), params=ParamSchema([
            ParamSpec("heat", "double", 1.0), ParamSpec("top", "long", 3), ParamSpec("stop", "string", ["."], shape=(-1,))]))),
    }


def register(tracking_url):
    """Registers every model; by name, the folder of the mlflow model on this disk."""
    mlflow.set_tracking_uri(tracking_url)
    mlflow.set_experiment("scoring")
    folders = {}
    for name, (made, declared) in models().items():
        with mlflow.start_run():
            mlflow.onnx.log_model(made, name="model", signature=declared, registered_model_name=f"scoring-{name}", pip_requirements=["onnxruntime"])
        folders[name] = mlflow.artifacts.download_artifacts(f"models:/scoring-{name}/1")
    return folders


def requests_for_rows():
    """Requests with four numbers a row, by a name for the test's id."""
    frame, _ = iris()
    head = frame.head(3)
    holes = head.copy()
    holes.iloc[1, 2] = None
    turned = head[list(reversed(head.columns))]
    return {
        "split": {"dataframe_split": head.to_dict(orient="split")},
        "split without index": {"dataframe_split": {"columns": list(head), "data": head.values.tolist()}},
        "split without columns": {"dataframe_split": {"data": head.values.tolist()}},
        "split, other order": {"dataframe_split": turned.to_dict(orient="split")},
        "split, a column more": {"dataframe_split": head.assign(more=1.0).to_dict(orient="split")},
        "split, a column less": {"dataframe_split": head.drop(columns="petal_width").to_dict(orient="split")},
        "split, ragged": {"dataframe_split": {"columns": list(head), "data": [[1, 2, 3, 4], [1, 2]]}},
        "split, text": {"dataframe_split": {"columns": list(head), "data": [["a", 2, 3, 4]]}},
        "split, unknown key": {"dataframe_split": {"columns": list(head), "data": [[1, 2, 3, 4]], "rows": 1}},
        "split, a list": {"dataframe_split": []},
        "split, missing value": {"dataframe_split": holes.to_dict(orient="split")},
        "records": {"dataframe_records": head.to_dict(orient="records")},
        "records, one": {"dataframe_records": head.head(1).to_dict(orient="records")},
        "records, not objects": {"dataframe_records": [1, 2]},
        "records, an object": {"dataframe_records": {}},
        "instances": {"instances": head.values.tolist()},
        "instances by name": {"instances": head.to_dict(orient="records")},
        "inputs": {"inputs": head.values.tolist()},
        "inputs by column": {"inputs": head.to_dict(orient="list")},
        "inputs by input": {"inputs": {"X": head.values.tolist()}},
        "inputs, another name": {"inputs": {"Z": head.values.tolist()}},
        "inputs, ragged": {"inputs": [[1, 2, 3, 4], [1]]},
        "inputs, three columns": {"inputs": [[1.5, 2.5, 3.5]]},
        "inputs, text": {"inputs": [["a", "b", "c", "d"]]},
        "with params": {"inputs": head.values.tolist(), "params": {"temperature": 1}},
        "params of another type": {"inputs": head.values.tolist(), "params": 3},
        "two forms": {"inputs": head.values.tolist(), "instances": head.values.tolist()},
        "no form": {"data": head.values.tolist()},
        "nothing": {},
    }


def requests_for_people():
    frame = pandas.DataFrame({"age": [1.5, 2.5], "city": ["Rome", "Oslo"]})
    return {
        "split": {"dataframe_split": frame.to_dict(orient="split")},
        "split, other order": {"dataframe_split": frame[["city", "age"]].to_dict(orient="split")},
        "records": {"dataframe_records": frame.to_dict(orient="records")},
        "records, no city": {"dataframe_records": [{"age": 1.5}]},
        "inputs by column": {"inputs": {"age": [[1.5], [2.5]], "city": [["Rome"], ["Oslo"]]}},
        "instances by name": {"instances": frame.to_dict(orient="records")},
    }


def requests_for_images():
    images = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]
    return {
        "inputs": {"inputs": images},
        "inputs by name": {"inputs": {"img": images}},
        "instances": {"instances": images},
        "instances by name": {"instances": [{"img": images[0]}, {"img": images[1]}]},
        "split with flat lists": {"dataframe_split": {"columns": ["img"], "data": [[[1.0, 2.0, 3.0, 4.0]], [[5.0, 6.0, 7.0, 8.0]]]}},
        "wrong shape": {"inputs": [[1.0, 2.0]]},
    }


# One value for one column of `typed`, by what MLflow makes of it.
VALUES = {
    "b": [True, False, 0, 1, 1.0],
    "i": [0, -5, 2147483647, True, 3.0, "7", "x", None, [1]],
    "l": [0, 9007199254740993, 9223372036854775807, False, 3.0, "7", "1.5", "x", None, {}],
    "f": [0, 1.5, 16777217, 1e300, True, "2.5", "nan", "x", None, math.nan, math.inf, [1.5]],
    "d": [0, 1.5, 9007199254740993, 9223372036854775808, 1e300, True, "2.5", "1e3", "x", None, math.nan, -math.inf],
}
# What MLflow cuts to size, or takes for true, is refused here, by column.
CUT = {"b": [2, -1, "true", None, math.nan], "i": [2147483648, 1.5, -1e300], "l": [1.5, 9223372036854775808, 1e300]}


def requests_for_types():
    row = {"b": True, "i": 1, "l": 2, "f": 0.5, "d": 0.25}
    found = {
        "a whole row": {"dataframe_records": [row]},
        "split, other order": {"dataframe_split": {"columns": list("dflib"), "data": [[0.25, 0.5, 2, 1, True]]}},
        "inputs by column": {"inputs": {name: [value, value] for name, value in row.items()}},
        "instances by name": {"instances": [row, row]},
        "a column more": {"dataframe_records": [{**row, "z": "more"}]},
        "no rows": {"dataframe_split": {"columns": list(row), "data": []}},
    }
    for name in row:
        found[f"no {name}"] = {"dataframe_records": [{key: value for key, value in row.items() if key != name}]}
        found[f"{name} missing in one row"] = {"dataframe_records": [row, {key: value for key, value in row.items() if key != name}]}
    for name, values in VALUES.items():
        for value in values:
            found[f"{name} = {json.dumps(value)}"] = {"dataframe_records": [{**row, name: value}]}
    for name, values in CUT.items():
        for value in values:
            found[f"{name} = {json.dumps(value)}, which is cut"] = {"dataframe_records": [{**row, name: value}]}
    found["l: a fraction after a whole number"] = {"dataframe_records": [row, {**row, "l": 3.0}]}
    found["d: whole numbers and a missing one"] = {"dataframe_records": [{**row, "d": 1}, {**row, "d": None}, {**row, "d": 3}]}
    return found


def requests_for_texts():
    values = ["x", "", "7", "NaN", 1, -5, 1.0, 1.5, 1e300, 1e-05, True, None, [1], {"a": 1}]
    return {f"t = {json.dumps(value)}": {"dataframe_records": [{"n": 1, "t": value}]} for value in values}


def requests_for_whole_columns():
    """Whole and fractional columns that become one tensor."""
    frame, _ = iris()
    head = frame.head(3).astype({"sepal_length": int, "sepal_width": int})
    holes = head.copy()
    holes.iloc[1, 2] = None
    return {
        "split": {"dataframe_split": head.to_dict(orient="split")},
        "records": {"dataframe_records": head.to_dict(orient="records")},
        "inputs by column": {"inputs": head.to_dict(orient="list")},
        "instances by name": {"instances": head.to_dict(orient="records")},
        "whole numbers as floating-point": {"dataframe_split": head.astype(float).to_dict(orient="split")},
        "whole numbers as text": {"dataframe_split": head.astype(str).to_dict(orient="split")},
        "missing value": {"dataframe_split": holes.to_dict(orient="split")},
        "missing whole number": {"dataframe_records": [{**head.to_dict(orient="records")[0], "sepal_length": None}]},
        "fraction, which is cut": {"dataframe_records": [{**head.to_dict(orient="records")[0], "sepal_length": 5.5}]},
    }


def requests_with_params():
    frame, _ = iris()
    given = {
        "none": None, "empty": {}, "all": {"heat": 0.5, "top": 5, "stop": ["a", "b"]}, "whole for floating": {"heat": 2},
        "unknown": {"cold": 1}, "text for a number": {"heat": "hot"}, "fraction for whole": {"top": 1.5},
        "one for many": {"stop": "a"}, "number in a list": {"stop": [1]}, "no object": 3, "a list": [1],
    }
    return {f"params: {name}": {"inputs": frame.head(2).to_dict(orient="list"), "params": params} for name, params in given.items()}


def cases():
    """Every model with every request that makes sense for it."""
    for name in models_of_rows():
        for label, request in requests_for_rows().items():
            yield name, label, request
    for name in ("people", "people-columns"):
        for label, request in requests_for_people().items():
            yield name, label, request
    for label, request in requests_for_images().items():
        yield "image", label, request
    for name in ("typed", "typed-optional"):
        for label, request in requests_for_types().items():
            yield name, label, request
    for label, request in requests_for_whole_columns().items():
        yield "whole", label, request
    for label, request in requests_for_texts().items():
        yield "texts", label, request
    for label, request in requests_with_params().items():
        yield "params", label, request


def models_of_rows():
    return ("plain", "columns", "tensor", "named", "zipmap", "zipmap-columns", "matrix")
