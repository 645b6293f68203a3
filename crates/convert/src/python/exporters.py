"""One class for each framework that can be exported: the ways to do it, and what the answer is of what comes out."""

import numpy as np
import worker
from common import Refused, pyfunc

KNOWN = "scikit-learn, XGBoost, LightGBM, PyTorch and Keras"


def of(model):
    """The exporter of an open model."""
    flavors = pyfunc(model).metadata.flavors
    loader = flavors.get("python_function", {}).get("loader_module", "")
    if "onnx" in flavors:
        raise Refused("it is an ONNX model already; mainspring optimize makes it faster")
    known = {
        "mlflow.sklearn": Sklearn, "mlflow.xgboost": XGBoost, "mlflow.lightgbm": LightGBM, "mlflow.pytorch": PyTorch,
        "mlflow.tensorflow": Keras, "mlflow.keras": Keras,
    }
    if loader in ("mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model"):
        raise Refused(
            "its python_function is a PythonModel of your own (%s): that is code, which no exporter turns into ONNX; log the "
            "framework's model itself, or deploy it as it is" % loader
        )
    if loader not in known:
        raise Refused("models of %s cannot be exported; %s can" % (loader or "an unknown loader", KNOWN))
    for spec in model.inputs.specs():
        if spec["dtype"] == "BYTES" and isinstance(model.inputs, worker.Columns):
            kind = {name: kind for name, _, kind, _ in model.inputs.fields}[spec["name"]]
            if kind != "string":
                raise Refused("column %r is %s, which ONNX has no type for" % (spec["name"], kind))
    return known[loader](model)


class Exporter:
    """What all of them share."""

    name = ""

    def __init__(self, model):
        self.model = model
        self.native = self.raw()
        self.specs = model.inputs.specs()
        self.fields = model.outputs.fields
        self.flavor = pyfunc(model).metadata.flavors.get("python_function", {})

    def raw(self):
        return pyfunc(self.model).get_raw_model()

    def what(self):
        return type(self.native).__name__

    def ways(self):
        """Names of the ways to export, the most exact first."""
        return ["float32"]

    def export(self, way):
        """The exported graph, and for each field of the answer the place of its output and a column of it."""
        raise NotImplementedError

    def part_at_fault(self, error):
        return None

    def one_array(self):
        if self.model.outputs.form != "array" or len(self.fields) != 1:
            raise Refused("its answer is %d outputs; of %s, one array is known" % (len(self.fields), self.name))

    def numbers(self):
        """That all inputs are numbers, and how many columns there are."""
        for spec in self.specs:
            if spec["dtype"] == "BYTES":
                raise Refused("input %r is text, which this framework does not take" % spec["name"])
        if isinstance(self.model.inputs, worker.Columns):
            return len(self.specs)
        if len(self.specs) != 1 or len(self.specs[0]["shape"]) != 2:
            raise Refused("its inputs are not one matrix of rows and columns")
        width = self.specs[0]["shape"][1]
        return width if width > 0 else None


class Sklearn(Exporter):
    name = "scikit-learn"

    def what(self):
        return described(self.native)

    def ways(self):
        doubles = any(spec["dtype"] in ("FP64", "INT64", "INT32", "BYTES") for spec in self.specs)
        return ["float64", "float32"] if doubles else ["float32", "float64"]

    def wanted(self):
        said = self.flavor.get("predict_fn", "predict")
        if said not in ("predict", "predict_proba"):
            raise Refused("it answers with %s(), and exporters give predict() and predict_proba()" % said)
        return said

    def export(self, way):
        import skl2onnx
        from skl2onnx.common import data_types

        self.one_array()
        said = self.wanted()
        from_other_libraries()
        number = {"float64": data_types.DoubleTensorType, "float32": data_types.FloatTensorType}[way]
        plain = {
            "BYTES": data_types.StringTensorType, "INT64": data_types.Int64TensorType, "INT32": data_types.Int64TensorType,
            "BOOL": data_types.BooleanTensorType,
        }
        if by_name(self.native):
            types = [(spec["name"], plain.get(spec["dtype"], number)([None, 1])) for spec in self.specs]
        else:
            kinds = {spec["dtype"] == "BYTES" for spec in self.specs}
            if len(kinds) > 1:
                raise Refused("it takes texts and numbers side by side without a ColumnTransformer that tells them apart")
            width = len(self.specs) if isinstance(self.model.inputs, worker.Columns) else (self.specs[0]["shape"] + [None])[1]
            width = None if width in (-1, None) else width
            types = [("X", (plain["BYTES"] if kinds.pop() else number)([None, width]))]
        options = None
        if final(self.native) == "classifier":
            options = {id(last(self.native)): {"zipmap": False}}
        made = skl2onnx.convert_sklearn(self.native, "model", types, options=options, target_opset={"": 18, "ai.onnx.ml": 3})
        if final(self.native) == "classifier":
            return made, [(1 if said == "predict_proba" else 0, None)]
        if len(made.graph.output) != 1:
            raise Refused("the export has the outputs %s, and which of them is the answer is not known" % [o.name for o in made.graph.output])
        return made, [(0, None)]

    def part_at_fault(self, error):
        from_other_libraries()
        parts = [part for part in unknown_parts(self.native)]
        return "no exporter knows %s" % " and ".join(parts) if parts else None


def from_other_libraries():
    """Lets models of XGBoost and LightGBM be steps of a pipeline."""
    import skl2onnx
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as classifier
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes as regressor

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    try:
        import xgboost
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

        skl2onnx.update_registered_converter(xgboost.XGBClassifier, "XGBoostXGBClassifier", classifier, convert_xgboost, options=options)
        skl2onnx.update_registered_converter(xgboost.XGBRegressor, "XGBoostXGBRegressor", regressor, convert_xgboost)
    except ImportError:
        pass
    try:
        import lightgbm
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        skl2onnx.update_registered_converter(lightgbm.LGBMClassifier, "LightGbmLGBMClassifier", classifier, convert_lightgbm, options=options)
        skl2onnx.update_registered_converter(lightgbm.LGBMRegressor, "LightGbmLGBMRegressor", regressor, convert_lightgbm, options={"split": None})
    except ImportError:
        pass


def parts(model, path=""):
    """A model and all that it is made of, each with its place in words."""
    yield path, model
    for label in ("steps", "transformer_list"):
        for name, inner in getattr(model, label, None) or []:
            if hasattr(inner, "fit"):
                yield from parts(inner, "%s%r" % (path and path + " → ", name))
    for name, inner, *_ in getattr(model, "transformers_", None) or []:
        if hasattr(inner, "fit"):
            yield from parts(inner, "%s%r" % (path and path + " → ", name))
    for label in ("estimator", "final_estimator_", "best_estimator_"):
        inner = getattr(model, label, None)
        if hasattr(inner, "fit"):
            yield from parts(inner, "%s%s" % (path and path + " → ", label))


def unknown_parts(model):
    from skl2onnx._supported_operators import sklearn_operator_name_map

    for path, part in parts(model):
        step = "step %s" % path if path else "the model itself"
        kind = "%s.%s" % (type(part).__module__, type(part).__name__)
        if type(part) not in sklearn_operator_name_map and type(part).__name__ not in ("Pipeline", "ColumnTransformer", "FeatureUnion"):
            yield "%s (%s)" % (step, kind)
        elif type(part).__name__ == "FunctionTransformer" and part.func is not None:
            yield "%s (a FunctionTransformer with the function %s)" % (step, getattr(part.func, "__name__", part.func))


def by_name(model):
    """Whether columns are chosen by name or place somewhere in it, so that each has to be an input."""
    return any(type(part).__name__ == "ColumnTransformer" for _, part in parts(model))


def last(model):
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return model


def final(model):
    from sklearn.base import is_classifier

    return "classifier" if is_classifier(last(model)) else "other"


def described(model):
    if hasattr(model, "steps"):
        return "Pipeline(%s)" % ", ".join(described(inner) for _, inner in model.steps)
    return type(model).__name__


class Trees(Exporter):
    """Boosted trees: a booster as it was trained, or in the clothes of scikit-learn."""

    def matrix(self):
        from onnxmltools.convert.common.data_types import FloatTensorType

        self.one_array()
        return [("X", FloatTensorType([None, self.numbers()]))]

    def pick(self, made):
        """The answer of the outputs: labels and probabilities, or values."""
        if len(made.graph.output) == 1:
            return [(0, None)]
        if self.labels():
            return [(0, None)]
        wide = len(self.fields[0]["shape"]) == 2
        return [(1, None if wide else 1)]

    def labels(self):
        """Whether predict() gives labels; a booster's gives probabilities."""
        return hasattr(self.native, "classes_")


class XGBoost(Trees):
    name = "XGBoost"

    def export(self, way):
        import copy

        import onnxmltools

        types = self.matrix()
        native = self.native
        booster = native if type(native).__name__ == "Booster" else native.get_booster()
        if booster.feature_types and any(each == "c" for each in booster.feature_types):
            raise Refused("it splits categories (enable_categorical), which ONNX's trees cannot")
        if booster.feature_names:
            # The exporter knows columns by their place alone.
            native = copy.deepcopy(native)
            booster = native if type(native).__name__ == "Booster" else native.get_booster()
            booster.feature_names = None
        made = onnxmltools.convert_xgboost(native, initial_types=types, target_opset=15)
        return made, self.pick(made)


class LightGBM(Trees):
    name = "LightGBM"

    def export(self, way):
        import onnxmltools

        made = onnxmltools.convert_lightgbm(self.native, initial_types=self.matrix(), zipmap=False, target_opset=15)
        return made, self.pick(made)


class PyTorch(Exporter):
    name = "PyTorch"

    def ways(self):
        # TorchScript is made of a model that is code; of an exported program there is none.
        return ["dynamo"] if type(self.native).__name__ == "GraphModule" else ["dynamo", "torchscript"]

    def export(self, way):
        import os
        import tempfile

        import onnx
        import torch

        native = self.native.to("cpu")
        # A program that torch.export made is in the mode that it was exported in, and has no other.
        if not isinstance(native, torch.fx.GraphModule):
            native.eval()
        columns = isinstance(self.model.inputs, worker.Columns)
        if not columns and len(self.specs) != 1:
            raise Refused("it takes %d tensors; of PyTorch models, MLflow hands over one" % len(self.specs))
        if columns:
            self.numbers()
            example = torch.zeros((2, len(self.specs)), dtype=torch.float32)
        else:
            shape = [(2 if place == 0 else 1) if size < 0 else size for place, size in enumerate(self.specs[0]["shape"])]
            example = torch.from_numpy(np.zeros(shape, worker.NUMBERS[self.specs[0]["dtype"]]))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            if way == "dynamo":
                torch.onnx.export(
                    native, (example,), path, dynamo=True, input_names=["X"], dynamic_shapes=({0: torch.export.Dim("rows")},),
                    external_data=False, verbose=False,
                )
            else:
                torch.onnx.export(
                    native, (example,), path, dynamo=False, input_names=["X"], output_names=["Y"],
                    dynamic_axes={"X": {0: "rows"}, "Y": {0: "rows"}},
                )
            made = onnx.load(path)
        if len(made.graph.output) != 1:
            raise Refused("it answers with %d tensors; one is known" % len(made.graph.output))
        if self.model.outputs.form == "frame":
            return made, [(0, place) for place in range(len(self.fields))]
        self.one_array()
        return made, [(0, None)]

    def part_at_fault(self, error):
        import re

        said = []
        while error is not None:
            said.append(str(error))
            error = error.__cause__ or error.__context__
        found = re.search(r"OpOverload\(op='([\w.]+)'|operator '?((?:aten|prims|torchvision)::[\w.]+)", " ".join(said))
        return "no exporter knows the operator %s" % (found.group(1) or found.group(2)) if found else None


class Keras(Exporter):
    name = "Keras"

    def export(self, way):
        import tensorflow
        import tf2onnx

        native = self.native
        columns = isinstance(self.model.inputs, worker.Columns)
        if len(native.inputs) != 1 or len(native.outputs) != 1:
            raise Refused("it has %d inputs and %d outputs; one of each is known" % (len(native.inputs), len(native.outputs)))
        kind = native.inputs[0].dtype
        spec = tensorflow.TensorSpec([None] + list(native.inputs[0].shape[1:]), kind, name="X")
        call = tensorflow.function(lambda x: native(x, training=False), input_signature=[spec])
        made, _ = tf2onnx.convert.from_function(call, input_signature=[spec], opset=18)
        with_captures(made.graph, call.get_concrete_function(spec))
        known_error_function(made.graph)
        if self.model.outputs.form == "frame" and columns:
            return made, [(0, place) for place in range(len(self.fields))]
        self.one_array()
        return made, [(0, None)]


def with_captures(graph, function):
    """Puts values that a layer holds outside of its variables (what Normalization has learned) into the graph: tf2onnx
    makes inputs of them, which nobody would give."""
    from onnx import numpy_helper

    held = {inner.name: outer for outer, inner in function.graph.captures if outer.dtype.name != "resource"}
    for given in [each for each in graph.input if each.name in held]:
        graph.initializer.append(numpy_helper.from_array(held[given.name].numpy(), given.name))
        graph.input.remove(given)


def known_error_function(graph):
    """tf2onnx writes the complement of the error function (in GELU) as an operator that ONNX does not have: 1 - Erf(x)."""
    from onnx import helper

    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc" or node.domain:
            nodes.append(node)
            continue
        (given,), (name,) = node.input, node.output
        nodes += [
            helper.make_node("Erf", [given], [name + "/erf"]),
            helper.make_node("Constant", [], [name + "/one"], value_float=1.0),
            helper.make_node("CastLike", [name + "/one", given], [name + "/as"]),
            helper.make_node("Sub", [name + "/as", name + "/erf"], [name]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
