"""Around what an exporter made: the inputs and outputs that the worker declares.

A converted model takes and gives what its Python model takes and gives when it is served: the same names, types and
shapes. So callers see no difference, and a deployment may go from one to the other and back.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    "BOOL": TensorProto.BOOL, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16, "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16, "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64, "FP16": TensorProto.FLOAT16, "FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


class Around:
    """The nodes before and behind the exported graph."""

    def __init__(self):
        self.before, self.behind, self.values, self.count = [], [], [], 0

    def name(self):
        self.count += 1
        return "mainspring_%d" % self.count

    def constant(self, numbers):
        name = self.name()
        self.values.append(numpy_helper.from_array(np.array(numbers, "i8"), name))
        return name

    def node(self, into, kind, inputs, **attributes):
        out = self.name()
        into.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def cast(self, into, value, have, want):
        return value if have == want else self.node(into, "Cast", [value], to=want)

    def shaped(self, into, value, shape):
        return self.node(into, "Reshape", [value, self.constant(shape)])


def element(info):
    return info.type.tensor_type.elem_type


def wrap(inner, specs, fields, pick):
    """The model with the inputs `specs` and the outputs `fields` of the worker.

    `pick` says what of the exported outputs is the answer: a list with, for each field, the place of the exported
    output and the column of it, or `None` for the whole.
    """
    inner = onnx.compose.add_prefix(inner, "model_")
    around = Around()
    by_name = {spec["name"]: spec for spec in specs}
    weights = {each.name for each in inner.graph.initializer}
    takes = [info for info in inner.graph.input if info.name not in weights]
    for info in takes:
        plain = info.name[len("model_"):]
        want = element(info)
        if plain in by_name and len(takes) > 1 or len(specs) == 1:
            value = single(around, by_name.get(plain, specs[0]), info, want)
        else:
            value = side_by_side(around, specs, want)
        around.before.append(helper.make_node("Identity", [value], [info.name], name=info.name + "_given"))
    for field, (place, column) in zip(fields, pick):
        info = inner.graph.output[place]
        value = info.name
        if column is not None:
            value = around.node(around.behind, "Gather", [value, around.constant(column)], axis=1)
        want = TYPES[field["dtype"]]
        if want != TensorProto.STRING:
            # Whatever the exporter declares: what it declares is not always what comes.
            value = around.node(around.behind, "Cast", [value], to=want)
        shape = [-1] + [size if size >= 0 else 0 for size in field["shape"][1:]]
        # One free dimension behind the first cannot be said in a Reshape; then the exporter's shape stands.
        if all(size > 0 for size in shape[1:]):
            value = around.shaped(around.behind, value, shape)
        around.behind.append(helper.make_node("Identity", [value], [field["name"]], name="output_" + field["name"]))
    graph = helper.make_graph(
        around.before + list(inner.graph.node) + around.behind, "mainspring",
        [declared(spec, "rows") for spec in specs], [declared(field, "rows") for field in fields],
        list(inner.graph.initializer) + around.values,
    )
    graph.sparse_initializer.extend(inner.graph.sparse_initializer)
    model = helper.make_model(graph, opset_imports=opsets(inner), producer_name="mainspring", functions=list(inner.functions))
    model.ir_version = min(inner.ir_version, 10)
    for node in model.graph.node:
        if node.op_type == "StringNormalizer" and not any(each.name == "locale" for each in node.attribute):
            # Without it, ONNX Runtime asks for en_US, which many machines do not have.
            node.attribute.append(helper.make_attribute("locale", "C.UTF-8"))
    return trimmed(model)


def opsets(inner):
    known = {each.domain: each.version for each in inner.opset_import}
    known.setdefault("", 18)
    return [helper.make_opsetid(domain, version) for domain, version in known.items()]


def declared(spec, rows):
    shape = [rows if place == 0 and size < 0 else None if size < 0 else size for place, size in enumerate(spec["shape"])]
    return helper.make_tensor_value_info(spec["name"], TYPES[spec["dtype"]], shape)


def single(around, spec, info, want):
    """One input as the exported graph takes it."""
    value = around.cast(around.before, spec["name"], TYPES[spec["dtype"]], want)
    rank = len(info.type.tensor_type.shape.dim) if info.type.tensor_type.HasField("shape") else len(spec["shape"])
    if rank == 2 and len(spec["shape"]) == 1:
        value = around.shaped(around.before, value, [-1, 1])
    return value


def side_by_side(around, specs, want):
    """All columns as one matrix. One concatenation and one transposition, however many columns there are."""
    alike = len({spec["dtype"] for spec in specs}) == 1
    values = [spec["name"] if alike else around.cast(around.before, spec["name"], TYPES[spec["dtype"]], want) for spec in specs]
    value = around.node(around.before, "Concat", values, axis=0)
    value = around.shaped(around.before, value, [len(specs), -1])
    if alike:
        value = around.cast(around.before, value, TYPES[specs[0]["dtype"]], want)
    return around.node(around.before, "Transpose", [value], perm=[1, 0])


def trimmed(model):
    """Without what no output needs, such as the probabilities behind a label."""
    graph = model.graph
    needed = {info.name for info in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed.update(node.input)
            needed.update(captured(node))
    kept.reverse()
    del graph.node[:]
    graph.node.extend(kept)
    held = [each for each in graph.initializer if each.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(held)
    return model


def captured(node):
    """Names that graphs inside a node take from around it."""
    for attribute in node.attribute:
        for graph in [attribute.g] + list(attribute.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from captured(inner)
            yield from (info.name for info in graph.output)
