"""The process that runs one MLflow model: it opens the model, then answers one call after another.

Mainspring starts it with a connected socket in place of standard input and sends it this text. Both sides speak
frames: `MSW1`, the length of a JSON header (u32), the length of the body (u64), both little-endian, then the two.
The header names the tensors; the body holds their bytes, each tensor at a multiple of 8. Numbers are little-endian
and row-major; BYTES are a u32 length before each element.

Elements of a nested tensor are in Python's marshal format, version 2. An answer in parts is a frame a part, each
of which is answered with `{"more": true}` or false, and a last one that says `{"end": true}`.

It runs with the packages of the model, so it keeps to what Python 3.8 and MLflow 2.0 know.
"""

import base64
import datetime
import importlib.util
import inspect
import io
import json
import marshal
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
    "string": "BYTES", "binary": "BYTES", "datetime": "BYTES", "nested": "BYTES",
}
CONTENTS = {"binary": "binary", "nested": "json"}


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


class Marked(io.RawIOBase):
    """A standard stream whose lines the other side joins to the call that wrote them: a mark before the first one."""

    # The call that runs, and whether it has written something.
    call, said = 0, False

    def __init__(self, fd):
        self.fd = fd

    def writable(self):
        return True

    def fileno(self):
        return self.fd

    def write(self, data):
        if Marked.call and not Marked.said:
            Marked.said = True
            os.write(self.fd, b"\0B%d\n" % Marked.call)
        return os.write(self.fd, data)

    @staticmethod
    def begin(number):
        Marked.call, Marked.said = number, False

    @staticmethod
    def end():
        said, Marked.call, Marked.said = Marked.said, 0, False
        if said:
            os.write(1, b"\0E\n")


def mark():
    sys.stdout = io.TextIOWrapper(Marked(1), "utf-8", "backslashreplace", write_through=True)
    sys.stderr = io.TextIOWrapper(Marked(2), "utf-8", "backslashreplace", write_through=True)


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
    """A signature of columns: the model takes a data frame, or, when its type hint says so, a list."""

    def __init__(self, schema, hinted):
        self.fields = []
        self.hinted = hinted
        self.types = {}
        for place, column in enumerate(schema.inputs):
            kind = kind_of(column.type)
            label = place if column.name is None else column.name
            self.fields.append((str(label), label, kind, not required(column)))
            self.types[str(label)] = column.type
        kinds = {kind for _, _, kind, _ in self.fields}
        self.nested = "nested" in kinds
        self.alike = COLUMNS[kinds.pop()] if len(kinds) == 1 else "BYTES"
        self.labels = pandas.Index([label for _, label, _, _ in self.fields])

    def specs(self):
        return [
            {"name": name, "dtype": COLUMNS[kind], "shape": [-1], "optional": optional, "content": CONTENTS.get(kind, "text")}
            for name, _, kind, optional in self.fields
        ]

    def zeros(self, rows=1):
        made = {"string": [""] * rows, "binary": [b""] * rows, "datetime": moments(["1970-01-01"] * rows)}
        if self.hinted:
            name, _, kind, _ = self.fields[0]
            return [blank(self.types[name]) for _ in range(rows)]
        if self.nested:
            return pandas.DataFrame({label: pandas.Series([blank(self.types[name]) for _ in range(rows)]) for name, label, _, _ in self.fields})
        return pandas.DataFrame({label: made[kind] if kind in made else np.zeros(rows, NUMBERS[COLUMNS[kind]]) for _, label, kind, _ in self.fields})

    def build(self, given):
        if self.hinted:
            name, _, kind, _ = self.fields[0]
            value = self.column(given[name], name, kind)
            return value.tolist() if hasattr(value, "tolist") else list(value)
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
                value = self.column(given[name], name, kind)
                made[label] = pandas.Series(value, dtype=object) if kind == "nested" else value
        return pandas.DataFrame(made)

    def column(self, value, name, kind):
        if kind == "binary":
            return value[0]
        if kind == "string":
            return decoded(value[0], name)
        if kind == "nested":
            held = [marshal.loads(each) for each in value[0]]
            return held if self.hinted else [enforced(each, self.types[name], name) for each in held]
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


def kind_of(kind):
    """What MLflow calls a column's type; `nested` for lists, objects, maps and what may be anything."""
    name = getattr(kind, "name", None)
    return name if name in COLUMNS else "nested"


def enforced(value, kind, name):
    """A nested value as MLflow hands it to models."""
    try:
        from mlflow.models.utils import _enforce_type
    except ImportError:
        # Another version of MLflow, whose predict does it.
        return value
    try:
        return _enforce_type(value, kind)
    except Exception as error:
        raise BadInput("input %r does not fit the model's signature: %s" % (name, getattr(error, "message", error))) from None


def blank(kind):
    """A value of a column's type that says nothing."""
    plain = {"boolean": False, "string": "", "binary": b"", "float": 0.0, "double": 0.0, "datetime": "1970-01-01"}
    if hasattr(kind, "properties"):
        return {each.name: blank(each.dtype) for each in kind.properties if each.required}
    if hasattr(kind, "value_type"):
        return {}
    if hasattr(kind, "dtype"):
        return []
    return plain.get(kind.name, 0) if kind_of(kind) != "nested" else None


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


def simple(value):
    """A value of an answer as JSON has it, in the way of MLflow's encoder."""
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            # Of a class of its own, too: an enumeration, a number of NumPy.
            return kind(value) if kind is not str else str.__str__(value)
    if isinstance(value, dict):
        return {key if type(key) is str else json.dumps(simple(key)): simple(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [simple(each) for each in value]
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value))
    if isinstance(value, (np.ndarray, pandas.Series)):
        return simple(value.tolist())
    if isinstance(value, np.generic):
        return simple(value.item())
    if isinstance(value, (bytes, bytearray)):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, (datetime.date, datetime.datetime, datetime.time)):
        return value.isoformat()
    if value is pandas.NA:
        return None
    if hasattr(value, "model_dump"):
        return simple(value.model_dump())
    raise Unservable("a value of the type %s" % type(value).__name__)


def elements(value):
    """Nested values, and the shape that they have."""
    if isinstance(value, (list, tuple, pandas.Series)) or (isinstance(value, np.ndarray) and value.ndim):
        held = value.tolist() if hasattr(value, "tolist") else list(value)
        return held, [len(held)]
    return [value], []


def series(value):
    dtype = value.dtype
    if dtype.kind == "M" and isinstance(dtype, np.dtype):
        return np.array([each.isoformat() for each in value], object)
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
            if field["content"] == "json":
                held, shape = elements(by_name[name])
                data = pack([marshal.dumps(simple(each), 2) for each in held])
                described.append({"name": name, "dtype": "BYTES", "shape": shape, "bytes": len(data)})
                parts.append(data)
                continue
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
        else:
            kind = kind_of(field.type)
            out.append({"name": field.name, "dtype": COLUMNS[kind], "shape": [-1], "content": CONTENTS.get(kind, "text")})
    return [dict({"content": "text"}, **each) for each in out]


def fields(form, found, said):
    """Outputs as an answer showed them, with the signature's types and sizes where the answer fits them."""
    out = []
    for place, (name, value) in enumerate(found):
        by_name = [s for s in said if s["name"] == name and name is not None]
        match = by_name[0] if by_name else said[place] if len(said) == len(found) else None
        spec = shown(name, value, match)
        if match and spec["content"] == "json":
            spec["name"] = name if name is not None else match["name"]
        elif match:
            numbers = "BYTES" not in (match["dtype"], spec["dtype"])
            if numbers and np.can_cast(NUMBERS[spec["dtype"]], NUMBERS[match["dtype"]], "safe"):
                spec["dtype"] = match["dtype"]
            if len(match["shape"]) == len(spec["shape"]) > 0:
                spec["shape"] = [-1] + [int(size) for size in match["shape"][1:]]
            spec["name"] = name if name is not None else match["name"]
        spec["name"] = spec["name"] or "output"
        out.append(spec)
    return Outputs(form, out)


def shown(name, value, match):
    """An output as an answer shows it."""
    if match is None or match["content"] != "json":
        try:
            array = plain(value)
            content = match["content"] if match else "binary" if holds_bytes(array) else "text"
            return {"name": name, "dtype": dtype_of(array.dtype, name), "shape": [-1] * array.ndim, "content": content}
        except Unservable:
            pass
    held, shape = elements(value)
    marshal.dumps([simple(each) for each in held], 2)
    return {"name": name, "dtype": "BYTES", "shape": [-1] * len(shape), "content": "json"}


def holds_bytes(array):
    return array.dtype.kind == "O" and any(isinstance(each, bytes) for each in array.ravel().tolist())


class Logged:
    """A model that MLflow logged."""

    def __init__(self, root):
        import mlflow.pyfunc

        self.model = mlflow.pyfunc.load_model(root)
        meta = self.model.metadata
        self.signature, self.example = meta.signature, None
        if meta.saved_input_example_info:
            try:
                self.example = meta.load_input_example(root)
            except Exception:
                traceback.print_exc()
        self.hinted = getattr(meta, "_is_signature_from_type_hint", bool)()
        self.streams = bool((meta.flavors.get("python_function") or {}).get("streamable"))
        self.silent = (
            "it was logged without a signature and without an input example, so nothing says what it takes; log it with "
            "signature=mlflow.models.infer_signature(X, model.predict(X)), or with input_example=X[:5]"
        )

    def calls(self, nested):
        """What is called for an answer, with data and parameters."""
        return self.model.predict if nested else direct(self.model)

    def parts(self, data, params):
        return self.model.predict_stream(data, params)

    def whole(self, data):
        """One call, the whole of MLflow's checks included."""
        return self.model.predict(data)


class Plain:
    """A Python file with `predict(model, data)`. What it may have beside: `load(folder)`, which makes the model;
    `predict_stream(model, data)`; `signature` or `input_example`, one of which says what it takes."""

    def __init__(self, path):
        folder = os.path.dirname(path)
        # Its neighbours are its to import.
        sys.path.insert(0, folder)
        name = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not callable(getattr(module, "predict", None)):
            raise Unservable("%s has no function predict(model, data)" % os.path.basename(path))
        load = getattr(module, "load", None)
        takes = len(inspect.signature(load).parameters) if load else 0
        self.made = load(folder) if takes else load() if load else None
        self.signature, self.example = getattr(module, "signature", None), getattr(module, "input_example", None)
        self.functions = [module.predict, getattr(module, "predict_stream", None)]
        self.hinted, self.streams = False, self.functions[1] is not None
        self.silent = (
            "%s says nothing of what it takes; give it `input_example = ...`, or `signature = "
            "mlflow.models.infer_signature(X, Y)`" % os.path.basename(path)
        )

    def calls(self, nested):
        return lambda data, params=None: self.asked(self.functions[0], data, params)

    def parts(self, data, params):
        return self.asked(self.functions[1], data, params)

    def whole(self, data):
        return self.asked(self.functions[0], data, None)

    def asked(self, function, data, params):
        if "params" not in inspect.signature(function).parameters:
            return function(self.made, data)
        from mlflow.models.utils import _enforce_params_schema

        schema = getattr(self.signature, "params", None)
        return function(self.made, data, params=_enforce_params_schema(params, schema) if schema is not None else params)


class Model:
    """A model with what it takes and gives."""

    def __init__(self, root, known):
        self.source = source = Plain(root) if root.endswith(".py") else Logged(root)
        schema = getattr(source.signature, "inputs", None)
        if schema is None and source.example is not None:
            import mlflow.models

            source.signature = mlflow.models.infer_signature(source.example)
            schema = source.signature.inputs
        if schema is None:
            raise Unservable(source.silent)
        self.inputs = Tensors(schema) if schema.is_tensor_spec() else Columns(schema, source.hinted)
        self.call = source.calls(getattr(self.inputs, "nested", False))
        said = declared(getattr(source.signature, "outputs", None))
        self.outputs = Outputs(known["form"], known["outputs"]) if known else self.learn(said, source.example)

    def learn(self, said, example):
        """Calls the model once: only an answer shows what it answers with."""
        tries = [("the input example", example)] if example is not None else []
        tries.append(("a row of zeros", self.inputs.zeros()))
        for what, data in tries:
            try:
                answer = held(self.source.whole(data))
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
        # A plain file may do without it.
        mlflow = sys.modules.get("mlflow")
        return {
            "inputs": self.inputs.specs(), "outputs": self.outputs.fields, "form": self.outputs.form,
            "streams": self.source.streams, "signature": json.dumps(self.source.signature.to_dict()),
            "python": "%d.%d.%d" % sys.version_info[:3], "mlflow": getattr(mlflow, "__version__", "none"),
        }

    def answer(self, header, body):
        data = self.inputs.build(arrays(header["tensors"], body))
        params = header.get("params")
        answer = self.call(data, self.params(params)) if params else self.call(data)
        tensors, parts = self.outputs.encode(held(answer))
        return {"tensors": tensors}, parts

    def params(self, text):
        """Parameters, checked here for the sake of the error, and again by MLflow."""
        params, schema = json.loads(text), getattr(self.source.signature, "params", None)
        if schema is not None:
            from mlflow.models.utils import _enforce_params_schema

            try:
                _enforce_params_schema(dict(params), schema)
            except Exception as error:
                raise BadInput(getattr(error, "message", str(error))) from None
        return params

    def stream(self, header, body, link):
        """Sends the parts of an answer, as long as the other side wants more."""
        data = self.inputs.build(arrays(header["tensors"], body))
        params = header.get("params")
        if not self.source.streams:
            raise BadInput("the model does not answer in parts")
        parts = self.source.parts(data, self.params(params) if params else None)
        try:
            for part in parts:
                tensors, bodies = self.part(part)
                link.send({"tensors": tensors}, bodies)
                frame = link.receive()
                if frame is None or not frame[0]["more"]:
                    return
        finally:
            getattr(parts, "close", int)()

    def part(self, part):
        """A part of an answer: as the model's outputs where it is so, else one output."""
        outputs = self.outputs.fields
        name = outputs[0]["name"] if len(outputs) == 1 else "output"
        if isinstance(part, str):
            data = pack([part])
            return [{"name": name, "dtype": "BYTES", "shape": [1], "bytes": len(data)}], [data]
        if isinstance(part, bytes):
            data = pack([part])
            return [{"name": name, "dtype": "BYTES", "shape": [1], "bytes": len(data), "content": "binary"}], [data]
        if isinstance(part, (np.ndarray, np.generic, int, float)) and not isinstance(part, bool):
            array = np.atleast_1d(plain(part))
            dtype = dtype_of(array.dtype, name)
            data = pack(array.ravel().tolist()) if dtype == "BYTES" else raw(array, dtype)
            return [{"name": name, "dtype": dtype, "shape": list(array.shape), "bytes": len(data)}], [data]
        if isinstance(part, pandas.DataFrame):
            tensors, parts = self.outputs.encode(part)
            contents = [field["content"] for field in outputs]
            return [dict(tensor, content=content) for tensor, content in zip(tensors, contents)], parts
        data = pack([marshal.dumps(simple(part), 2)])
        return [{"name": name, "dtype": "BYTES", "shape": [1], "bytes": len(data), "content": "json"}], [data]


def held(answer):
    """An answer that is whole: a generator is run to its end."""
    return list(answer) if inspect.isgenerator(answer) else answer


def direct(model):
    """A model's own predict. MLflow's checks its input against the signature again, which costs more than most models
    do, and what comes from here has the types of the signature already."""
    try:
        from mlflow.models.utils import _enforce_params_schema

        if model.metadata._is_type_hint_from_example():
            return model.predict
        own, schema = model._predict_fn, model.metadata.get_params_schema()
        param = inspect.signature(own).parameters.get("params")
        if param is None or param.kind == inspect.Parameter.VAR_KEYWORD:
            # What says that its parameters go nowhere.
            return lambda data, given=None: own(data) if given is None else model.predict(data, given)
        params = _enforce_params_schema(None, schema)
        if schema is None or not any(isinstance(each.default, (list, dict)) for each in schema):
            copied = lambda: dict(params) if params else params
        else:
            copied = lambda: _enforce_params_schema(None, schema)
        return lambda data, given=None: own(data, params=copied() if given is None else _enforce_params_schema(given, schema))
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
    mark()
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
    calls = 0
    while True:
        frame = link.receive()
        if frame is None:
            return
        calls += 1
        Marked.begin(calls)
        try:
            if frame[0].get("stream"):
                model.stream(frame[0], frame[1], link)
                header, parts = {"end": True}, ()
            else:
                header, parts = model.answer(*frame)
        except BaseException as error:
            header, parts = failure(error), ()
        Marked.end()
        # Nothing of a call is held while the next one is waited for.
        frame = None
        link.send(header, parts)
        parts = None


serve(SOCKET)
