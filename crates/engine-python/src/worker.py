"""The process that runs one MLflow model: it opens the model, then answers one call after another.

Mainspring starts it with a connected socket in place of standard input and sends it this text. Both sides speak
frames: `MSW1`, the length of a JSON header (u32), the length of the body (u64), both little-endian, then the two.
The header names the tensors; the body holds their bytes, each tensor at a multiple of 8. Numbers are little-endian
and row-major; BYTES are a u32 length before each element.

It runs with the packages of the model, so it keeps to what Python 3.8 and MLflow 2.0 know.
"""

import inspect
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback

PREFIX = struct.Struct("<4sIQ")
LENGTH = struct.Struct("<I")
SMALL = 1 << 16
NUMBERS = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}
COLUMNS = {
    "boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64",
    "string": "BYTES", "binary": "BYTES", "datetime": "BYTES",
}


class BadInput(Exception):
    """Values that cannot be handed to the model; the text names the input and is meant for the caller."""


class Unservable(Exception):
    """Something that is no tensor, or not what was declared."""


class Link:
    """Frames over a socket."""

    def __init__(self, sock):
        self.sock = sock

    def receive(self):
        """Header and body of the next frame; `None` when the other side is gone."""
        data = self.sock.recv(SMALL)
        while data and len(data) < PREFIX.size:
            data += self.more()
        if not data:
            return None
        magic, header, body = PREFIX.unpack_from(data)
        if magic != b"MSW1":
            raise RuntimeError("what came is no frame")
        start = PREFIX.size + header
        while len(data) < start:
            data += self.more()
        # Models may write to their input, so it is not handed out as immutable bytes.
        held = bytearray(body)
        have = min(len(data) - start, body)
        held[:have] = data[start:start + have]
        view = memoryview(held)[have:]
        while len(view):
            count = self.sock.recv_into(view)
            if count == 0:
                raise EOFError
            view = view[count:]
        return json.loads(data[PREFIX.size:start]), held

    def more(self):
        data = self.sock.recv(SMALL)
        if not data:
            raise EOFError
        return data

    def send(self, header, parts=()):
        text = json.dumps(header).encode()
        parts = [piece for part in parts for piece in (part, bytes(-len(part) % 8))]
        head = PREFIX.pack(b"MSW1", len(text), sum(map(len, parts))) + text
        if sum(map(len, parts)) < SMALL:
            self.sock.sendall(b"".join([head] + parts))
            return
        self.sock.sendall(head)
        for part in parts:
            self.sock.sendall(part)


def end_with(fd):
    """Ends this process and all it started when the other side of the socket is gone, whatever it is doing."""
    gone = select.poll()
    gone.register(fd, getattr(select, "POLLRDHUP", 0))

    def wait():
        gone.poll()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def limit(order):
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if order["memory"]:
        resource.setrlimit(resource.RLIMIT_DATA, (order["memory"], order["memory"]))


def texts(view, count, name):
    """The elements of a BYTES tensor."""
    out, at = [], 0
    for _ in range(count):
        if at + 4 > len(view):
            raise BadInput("input %r ends inside an element" % name)
        size = LENGTH.unpack_from(view, at)[0]
        at += 4
        out.append(bytes(view[at:at + size]))
        at += size
    return out


def pack(values):
    out = []
    for value in values:
        data = value if isinstance(value, bytes) else ("" if value is None else value).encode("utf-8", "surrogateescape")
        out.append(LENGTH.pack(len(data)))
        out.append(data)
    return b"".join(out)


def decoded(values, name):
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise BadInput("input %r holds text that is not UTF-8" % name) from None


def arrays(tensors, body):
    """By name, an array; a list of bytes and its shape for BYTES."""
    out, at = {}, 0
    view = memoryview(body)
    for tensor in tensors:
        name, dtype, shape, size = tensor["name"], tensor["dtype"], tensor["shape"], tensor["bytes"]
        count = 1
        for length in shape:
            count *= length
        if dtype == "BYTES":
            out[name] = (texts(view[at:at + size], count, name), shape)
        elif dtype not in NUMBERS:
            raise BadInput("input %r is %s, which NumPy does not have" % (name, dtype))
        else:
            out[name] = np.frombuffer(body, NUMBERS[dtype], count, at).reshape(shape)
        at += size + (-size % 8)
    return out


class Columns:
    """A signature of columns: the model takes a data frame."""

    def __init__(self, schema):
        self.fields = []
        for place, column in enumerate(schema.inputs):
            kind = getattr(column.type, "name", None)
            if kind not in COLUMNS:
                raise Unservable("column %r of the signature is %s; nested columns cannot be served yet" % (column.name, column.type))
            label = place if column.name is None else column.name
            self.fields.append((str(label), label, kind, not required(column)))
        kinds = {kind for _, _, kind, _ in self.fields}
        self.alike = COLUMNS[kinds.pop()] if len(kinds) == 1 else "BYTES"
        self.labels = pandas.Index([label for _, label, _, _ in self.fields])

    def specs(self):
        return [{"name": name, "dtype": COLUMNS[kind], "shape": [-1], "optional": optional} for name, _, kind, optional in self.fields]

    def zeros(self, rows=1):
        made = {"string": [""] * rows, "binary": [b""] * rows, "datetime": moments(["1970-01-01"] * rows)}
        return pandas.DataFrame({label: made[kind] if kind in made else np.zeros(rows, NUMBERS[COLUMNS[kind]]) for _, label, kind, _ in self.fields})

    def build(self, given):
        if self.alike != "BYTES" and len(given) == len(self.fields):
            # One block: a column a series costs microseconds each.
            rows = len(next(iter(given.values())))
            block = np.empty((len(self.fields), rows), NUMBERS[self.alike])
            for place, (name, _, _, _) in enumerate(self.fields):
                block[place] = given[name]
            return pandas.DataFrame(block.T, columns=self.labels, copy=False)
        made = {}
        for name, label, kind, _ in self.fields:
            if name in given:
                made[label] = self.column(given[name], name, kind)
        return pandas.DataFrame(made)

    def column(self, value, name, kind):
        if kind == "binary":
            return value[0]
        if kind == "string":
            return decoded(value[0], name)
        if kind == "datetime":
            try:
                return moments(decoded(value[0], name))
            except (ValueError, TypeError):
                raise BadInput("input %r holds a text that is no date and time (2026-01-31T12:00:00)" % name) from None
        return value


class Tensors:
    """A signature of tensors: the model takes an array, or arrays by name."""

    def __init__(self, schema):
        self.fields = []
        for tensor in schema.inputs:
            self.fields.append((tensor.name or "input", dtype_of(np.dtype(tensor.type), tensor.name), list(tensor.shape), not required(tensor)))
        self.single = len(self.fields) == 1 and schema.inputs[0].name is None

    def specs(self):
        return [{"name": name, "dtype": dtype, "shape": shape, "optional": optional} for name, dtype, shape, optional in self.fields]

    def zeros(self, rows=1):
        out = {}
        for name, dtype, shape, _ in self.fields:
            sizes = [(rows if place == 0 else 1) if size < 0 else size for place, size in enumerate(shape)]
            out[name] = np.full(sizes, "", object) if dtype == "BYTES" else np.zeros(sizes, NUMBERS[dtype])
        return out[self.fields[0][0]] if self.single else out

    def build(self, given):
        out = {}
        for name, value in given.items():
            if isinstance(value, tuple):
                value = np.array(decoded(value[0], name), object).reshape(value[1])
            out[name] = value
        return out[self.fields[0][0]] if self.single else out


def moments(texts):
    """Dates and times, each in its own form of ISO 8601, in the unit that MLflow hands to models."""
    out = pandas.to_datetime(texts, format="ISO8601") if int(pandas.__version__.split(".")[0]) > 1 else pandas.to_datetime(texts)
    return out if out.tz else out.astype("datetime64[ns]")


def required(field):
    return bool(getattr(field, "required", not getattr(field, "optional", False)))


def dtype_of(dtype, name):
    """What the protocols call an element type of NumPy."""
    if dtype.kind in "OUST":
        return "BYTES"
    for known, code in NUMBERS.items():
        if np.dtype(code) == dtype.newbyteorder("<"):
            return known
    raise Unservable("%s is %s, which cannot be served" % ("an array without a name" if name is None else repr(name), dtype))


def pieces(answer):
    """What an answer is made of: its form, and its parts with the names they have."""
    if isinstance(answer, pandas.DataFrame):
        return "frame", [(str(label), answer[label]) for label in answer.columns]
    if isinstance(answer, (list, tuple)) and answer and all(isinstance(item, dict) for item in answer):
        return pieces(pandas.DataFrame(list(answer)))
    if isinstance(answer, pandas.Series):
        return "array", [(None, answer)]
    if isinstance(answer, dict):
        return "map", [(str(name), value) for name, value in answer.items()]
    return "array", [(None, answer)]


def plain(value):
    """An array of numbers, or of texts as objects."""
    if isinstance(value, pandas.Series):
        value = series(value)
    for method in ("toarray", "detach"):
        value = getattr(value, method)() if hasattr(value, method) else value
    if not isinstance(value, np.ndarray) and hasattr(value, "numpy"):
        value = value.cpu().numpy() if hasattr(value, "cpu") else value.numpy()
    try:
        out = np.asarray(value)
    except ValueError:
        raise Unservable("lists of different lengths") from None
    kind = out.dtype.kind
    if kind in "biu" or (kind == "f" and out.dtype.itemsize <= 8):
        return out
    if kind in "USTM":
        return out.astype(str).astype(object)
    if kind == "f":
        return out.astype("<f8")
    if kind == "O":
        return objects(out)
    raise Unservable("values of the type %s" % out.dtype)


def series(value):
    dtype = value.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        return series(value.astype(dtype.categories.dtype))
    if isinstance(dtype, pandas.DatetimeTZDtype):
        return np.array([each.isoformat() for each in value], object)
    if dtype.kind in "iub" and not isinstance(dtype, np.dtype):
        return value.to_numpy(dtype="<f8", na_value=np.nan) if value.isna().any() else value.to_numpy(dtype=dtype.numpy_dtype)
    return value.to_numpy()


def objects(array):
    held = array.ravel().tolist()
    missing = [each is None or each is pandas.NA or (isinstance(each, float) and each != each) for each in held]
    some = [each for each, gone in zip(held, missing) if not gone]
    if some and all(isinstance(each, (str, bytes)) for each in some):
        return np.array([None if gone else each for each, gone in zip(held, missing)], object).reshape(array.shape)
    if all(isinstance(each, bool) for each in held):
        return array.astype(bool)
    if all(isinstance(each, (bool, int, float, np.number)) for each in some):
        return np.array([np.nan if gone else each for each, gone in zip(held, missing)], "<f8").reshape(array.shape)
    if all(isinstance(each, (list, np.ndarray)) for each in some) and len(some) == len(held):
        return plain([each if isinstance(each, list) else each.tolist() for each in held])
    raise Unservable("values of the type %s" % sorted({type(each).__name__ for each in some})[0])


class Outputs:
    """What the model answers with."""

    def __init__(self, form, fields):
        self.form = form
        self.fields = fields

    def encode(self, answer):
        """Descriptions and bytes of the tensors that an answer is."""
        form, found = pieces(answer)
        if form == "array" and self.form == "array":
            found = [(self.fields[0]["name"], found[0][1])]
        by_name = dict(found)
        described, parts = [], []
        for field in self.fields:
            name, want = field["name"], field["dtype"]
            if name not in by_name:
                raise Unservable("no output %r; the answer has %s" % (name, ", ".join(sorted(map(str, by_name)))))
            array = plain(by_name[name])
            got = dtype_of(array.dtype, name)
            if got != want and want != "BYTES" and got != "BYTES" and np.can_cast(array.dtype, NUMBERS[want], "safe"):
                array, got = array.astype(NUMBERS[want]), want
            data = pack(array.ravel().tolist()) if got == "BYTES" else raw(array, got)
            described.append({"name": name, "dtype": got, "shape": list(array.shape), "bytes": len(data)})
            parts.append(data)
        return described, parts


def raw(array, dtype):
    return memoryview(np.ascontiguousarray(array, NUMBERS[dtype]).reshape(-1)).cast("B") if array.size else b""


def declared(schema):
    """What a signature says of the outputs."""
    out = []
    for place, field in enumerate(schema.inputs if schema is not None else []):
        if schema.is_tensor_spec():
            out.append({"name": field.name, "dtype": dtype_of(np.dtype(field.type), field.name), "shape": list(field.shape)})
        elif getattr(field.type, "name", None) in COLUMNS:
            out.append({"name": field.name, "dtype": COLUMNS[field.type.name], "shape": [-1]})
    return out


def fields(form, found, said):
    """Outputs as an answer showed them, with the signature's types and sizes where the answer fits them."""
    out = []
    for place, (name, value) in enumerate(found):
        array = plain(value)
        spec = {"name": name, "dtype": dtype_of(array.dtype, name), "shape": [-1] * array.ndim}
        by_name = [s for s in said if s["name"] == name and name is not None]
        match = by_name[0] if by_name else said[place] if len(said) == len(found) else None
        if match:
            numbers = "BYTES" not in (match["dtype"], spec["dtype"])
            if numbers and np.can_cast(array.dtype, NUMBERS[match["dtype"]], "safe"):
                spec["dtype"] = match["dtype"]
            if len(match["shape"]) == array.ndim > 0:
                spec["shape"] = [-1] + [int(size) for size in match["shape"][1:]]
            spec["name"] = name if name is not None else match["name"]
        spec["name"] = spec["name"] or "output"
        out.append(spec)
    return Outputs(form, out)


class Model:
    """An MLflow model."""

    def __init__(self, root, known):
        import mlflow.pyfunc

        self.model = mlflow.pyfunc.load_model(root)
        meta = self.model.metadata
        schema, example = meta.get_input_schema(), None
        if meta.saved_input_example_info:
            try:
                example = meta.load_input_example(root)
            except Exception:
                traceback.print_exc()
        if schema is None and example is not None:
            schema = mlflow.models.infer_signature(example).inputs
        if schema is None:
            raise Unservable(
                "it was logged without a signature and without an input example, so nothing says what it takes; log it with "
                "signature=mlflow.models.infer_signature(X, model.predict(X)), or with input_example=X[:5]"
            )
        self.inputs = Tensors(schema) if schema.is_tensor_spec() else Columns(schema)
        self.call = direct(self.model)
        self.outputs = Outputs(known["form"], known["outputs"]) if known else self.learn(declared(meta.get_output_schema()), example)

    def learn(self, said, example):
        """Calls the model once: only an answer shows what it answers with."""
        tries = [("the input example", example)] if example is not None else []
        tries.append(("a row of zeros", self.inputs.zeros()))
        for what, data in tries:
            try:
                answer = self.model.predict(data)
            except Exception:
                sys.stderr.write("the model does not answer to %s:\n" % what)
                traceback.print_exc()
                continue
            form, found = pieces(answer)
            return fields(form, found, said)
        if not said:
            raise Unservable(
                "it answers neither to its input example nor to zeros, and its signature has no outputs, so nothing says what it "
                "answers with; log it with signature=mlflow.models.infer_signature(X, model.predict(X))"
            )
        form = "array" if len(said) == 1 else "frame"
        return Outputs(form, [dict(s, name=s["name"] or "output") for s in said])

    def ready(self):
        import mlflow

        return {
            "inputs": self.inputs.specs(), "outputs": self.outputs.fields, "form": self.outputs.form,
            "python": "%d.%d.%d" % sys.version_info[:3], "mlflow": mlflow.__version__,
        }

    def answer(self, header, body):
        data = self.inputs.build(arrays(header["tensors"], body))
        tensors, parts = self.outputs.encode(self.call(data))
        return {"tensors": tensors}, parts


def direct(model):
    """A model's own predict. MLflow's checks its input against the signature again, which costs more than most models
    do, and what comes from here has the types of the signature already."""
    try:
        from mlflow.models.utils import _enforce_params_schema

        if model.metadata._is_type_hint_from_example():
            return model.predict
        own = model._predict_fn
        param = inspect.signature(own).parameters.get("params")
        if param is None or param.kind == inspect.Parameter.VAR_KEYWORD:
            return own
        params = _enforce_params_schema(None, model.metadata.get_params_schema())
        return lambda data: own(data, params=dict(params) if params else params)
    except (ImportError, AttributeError):
        # Another version of MLflow.
        return model.predict


def failure(error):
    """An exception for the other side: its text may hold what callers must not see."""
    if isinstance(error, BadInput):
        return {"refused": str(error)}
    if isinstance(error, Unservable):
        return {"wrong": str(error)}
    # The log is where all of it goes.
    traceback.print_exception(type(error), error, error.__traceback__)
    code = getattr(error, "error_code", None)
    values = isinstance(error, (ValueError, TypeError)) or code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
    return {"raised": type(error).__name__, "message": str(error)[:4000], "values": values}


def serve(sock):
    global np, pandas
    link = Link(sock)
    end_with(sock.fileno())
    import faulthandler

    # A crash in native code, or the signal before the end of a call that took too long, shows where it was.
    faulthandler.enable()
    order, _ = link.receive()
    try:
        limit(order)
        import numpy as np
        import pandas

        model = Model(order["root"], order["known"])
        ready = model.ready()
    except BaseException as error:
        link.send(failure(error))
        return
    link.send(ready)
    while True:
        frame = link.receive()
        if frame is None:
            return
        try:
            header, parts = model.answer(*frame)
        except BaseException as error:
            header, parts = failure(error), ()
        # Nothing of a call is held while the next one is waited for.
        frame = None
        link.send(header, parts)
        parts = None


if __name__ == "mainspring_worker":
    serve(SOCKET)
