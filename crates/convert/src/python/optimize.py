"""Makes variants of one ONNX model and measures each: bytes, time, and how far its answers are from the model's own.

It decides nothing: which variant may be used is decided by who reads the report.
"""

import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common
import numpy as np
import onnx
import pandas
import worker
from common import Refused, say
from graph import TYPES

KINDS = {
    "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(float16)": "FP16", "tensor(int64)": "INT64",
    "tensor(int32)": "INT32", "tensor(bool)": "BOOL", "tensor(string)": "BYTES",
}
# What says that a graph computes with whole numbers.
WHOLE = ("QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv")
# What ONNX Runtime takes as bytes at most.
MOST = 1 << 30


def main(order):
    from mlflow.models import Model

    say("opening the model")
    meta = Model.load(order["root"])
    if "onnx" not in meta.flavors:
        raise Refused("it is no ONNX model")
    path = os.path.join(order["root"], meta.flavors["onnx"].get("data", "model.onnx"))
    first = common.session(path)
    given = Given(meta, order, first)
    fields = [{"name": each.name} for each in first.get_outputs()]
    proof = Proof(order, given, fields, first)
    found, failed = [proof.measured("as it is", path)], []
    for name, make in (("graph", graph), ("int8-dynamic", int8_dynamic), ("int8-static", int8_static), ("fp16", fp16)):
        say("trying %s" % name)
        made = os.path.join(order["work"], name + ".onnx")
        try:
            make(path, made, given)
            found.append(proof.measured(name, made))
        except Exception as error:
            traceback.print_exc()
            text = str(error) if isinstance(error, Refused) else "%s: %s" % (type(error).__name__, " ".join(str(error).split())[:300])
            failed.append({"name": name, "reason": text})
    return {"rows": {"from": given.where, "count": given.count}, "measure": proof.measure, "variants": found, "failed": failed}


class Given:
    """The rows, as the graph takes them."""

    def __init__(self, meta, order, session):
        self.session = session
        self.takes = session.get_inputs()
        schema = meta.get_input_schema()
        inputs = common.inputs_of(schema) if schema is not None else Bare(self.takes)
        self.where, rows, self.labels = common.rows_of(inputs, meta, order)
        self.count = common.length(rows)
        self.rows = rows

    def feeds(self, start=0, stop=None):
        held = common.feeds(common.part(self.rows, start, self.count if stop is None else stop))
        names = [each.name for each in self.takes]
        if set(names) == set(held):
            return held
        if len(names) != 1:
            raise Refused("it takes %s, and the rows have %s" % (", ".join(names), ", ".join(held)))
        values = list(held.values())
        whole = np.column_stack(values) if len(values) > 1 or values[0].ndim == 1 else values[0]
        kind = KINDS.get(self.takes[0].type, "FP32")
        return {names[0]: whole if kind == "BYTES" else whole.astype(worker.NUMBERS[kind])}


class Bare:
    """Inputs of a graph without a signature."""

    def __init__(self, takes):
        self.fields = [(each.name, KINDS.get(each.type, "FP32"), list(each.shape), False) for each in takes]


class Proof:
    """Measures a variant against the model as it is."""

    def __init__(self, order, given, fields, session):
        self.given, self.fields = given, fields
        self.names = [field["name"] for field in fields]
        self.expected = [np.asarray(each) for each in session.run(self.names, given.feeds())]
        spread = max((float(np.nanstd(each.astype("f8"))) for each in self.expected if each.dtype.kind == "f" and each.size), default=0.0)
        part = order["closeness"]
        self.tolerance = {"relative": part, "absolute": part * spread + 1e-12}
        self.measure = None if given.labels is None else "accuracy" if self.classes(self.expected[0]) else "r2"

    def classes(self, answer):
        return answer.dtype.kind != "f" or (answer.ndim == 2 and answer.shape[1] > 1)

    def measured(self, name, path):
        session = common.session(path)
        got = session.run(self.names, self.given.feeds())
        outputs, agree = common.compare(self.fields, self.expected, got, self.tolerance)
        rows = common.batch(self.given.rows)
        one, some = self.given.feeds(0, 1), self.given.feeds(0, rows)
        return {
            "name": name, "path": path, "bytes": size(path), "agreeing": int(agree.sum()), "outputs": outputs, "batch_rows": rows,
            "score": None if self.measure is None else self.score(np.asarray(got[0])),
            "one_ns": common.clock(lambda: session.run(self.names, one)), "batch_ns": common.clock(lambda: session.run(self.names, some)),
        }

    def score(self, answer):
        labels = self.given.labels
        if self.measure == "accuracy":
            if answer.ndim == 2 and answer.shape[1] > 1:
                answer = answer.argmax(axis=1)
            return float((common.texts(answer.ravel()) == common.texts(np.asarray(labels))).mean())
        wanted, answer = np.asarray(labels, "f8"), answer.astype("f8").ravel()
        return float(1 - ((wanted - answer) ** 2).sum() / max(((wanted - wanted.mean()) ** 2).sum(), 1e-300))


def size(path):
    """Bytes of a model with the files that hold its weights."""
    model = onnx.load(path, load_external_data=False)
    beside = {each.value for tensor in model.graph.initializer for each in tensor.external_data if each.key == "location"}
    return os.path.getsize(path) + sum(os.path.getsize(os.path.join(os.path.dirname(path), name)) for name in beside)


def graph(path, made, given):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The levels above depend on the processor that they run on.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = made
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def prepared(path, made):
    """The model with the types of all values, which the quantiser needs and which ONNX's own inference does not know
    behind operators of the machine learning domain: ONNX Runtime does."""
    import onnxruntime
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready = made + ".ready"
    try:
        quant_pre_process(path, ready, skip_symbolic_shape=True)
    except Exception:
        traceback.print_exc()
        ready = path
    model = onnx.load(ready)
    if model.ByteSize() > MOST:
        return ready
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    told = {each.name for each in model.graph.output}
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for node in model.graph.node for name in node.output if name and name not in told)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    known = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"]).get_outputs()
    have = {each.name for each in model.graph.value_info}
    for each in known:
        if each.name not in told | have and each.type in KINDS and KINDS[each.type] in TYPES:
            model.graph.value_info.append(onnx.helper.make_tensor_value_info(each.name, TYPES[KINDS[each.type]], None))
    onnx.save_model(model, made + ".typed")
    return made + ".typed"


def whole_numbers(made):
    """Refuses a variant in which nothing was quantised."""
    model = onnx.load(made, load_external_data=False)
    if not any(node.op_type in WHOLE for node in model.graph.node):
        os.remove(made)
        kinds = sorted({node.op_type for node in model.graph.node if node.domain not in ("", "ai.onnx")})
        if any(each.data_type == onnx.TensorProto.DOUBLE for each in model.graph.initializer):
            raise Refused("nothing in it can be quantised: it calculates in 64 bits, and only weights of 32 bits are quantised")
        raise Refused("nothing in it can be quantised: it has no matrix product or convolution with constant weights%s" % (
            " (its work is in %s)" % ", ".join(kinds) if kinds else ""))


def int8_dynamic(path, made, given):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(prepared(path, made), made, weight_type=QuantType.QInt8)
    whole_numbers(made)


def int8_static(path, made, given):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Rows(CalibrationDataReader):
        def __init__(self):
            count = min(given.count, 500)
            step = 50
            self.parts = iter(given.feeds(at, min(at + step, count)) for at in range(0, count, step))

        def get_next(self):
            return next(self.parts, None)

    quantize_static(
        prepared(path, made), made, Rows(), quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm", "Conv"],
    )
    whole_numbers(made)


def fp16(path, made, given):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    kept = {each.data_type for each in model.graph.initializer}
    if onnx.TensorProto.FLOAT16 not in kept:
        raise Refused("nothing in it is kept in 32 bits that could be kept in 16")
    onnx.save_model(model, made)


common.run(main)
