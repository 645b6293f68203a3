"""What a model takes and gives, between the frames of the worker and Python: the first half of the worker's text."""

import base64
import datetime
import json
import marshal
import struct

LENGTH = struct.Struct("<I")
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

    def taken(self, tensors, body):
        """What the model is called with."""
        block = self.block(tensors, body)
        if block is None:
            return self.build(arrays(tensors, body))
        return pandas.DataFrame(block.T, columns=self.labels, copy=False)

    def block(self, tensors, body):
        """The body as one array, a column a row of it, where it is so: no column is copied."""
        if self.hinted or self.alike == "BYTES" or len(tensors) != len(self.fields):
            return None
        size = tensors[0]["bytes"]
        if not size or size % 8 or len(body) != size * len(tensors):
            return None
        for tensor, field in zip(tensors, self.fields):
            if tensor["name"] != field[0] or tensor["bytes"] != size or tensor["dtype"] != self.alike:
                return None
        return np.frombuffer(body, NUMBERS[self.alike]).reshape(len(tensors), -1)

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

    def taken(self, tensors, body):
        """What the model is called with."""
        return self.build(arrays(tensors, body))

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
        # MLflow writes it as a data frame.
        return "frame", [("0" if answer.name is None else str(answer.name), answer)]
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


def records(answer):
    """A data frame as its rows; anything else as it is."""
    return answer.to_dict(orient="records") if isinstance(answer, pandas.DataFrame) else answer


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
        if self.form == "array" and self.fields[0]["content"] == "json":
            found = [(None, records(answer))]
        else:
            found = pieces(answer)[1]
        if len(found) == len(self.fields) == 1:
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


def fields(form, found, said, sure):
    """Outputs as an answer showed them, with the signature's types and sizes where the answer fits them. `sure` says
    whether the answer is one to values that mean something."""
    out = []
    for place, (name, value) in enumerate(found):
        by_name = [s for s in said if s["name"] == name and name is not None]
        match = by_name[0] if by_name else said[place] if len(said) == len(found) else None
        spec = shown(name, value, match, sure)
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


def untold(value):
    """Whether the cells of a column say nothing of what others may hold: nothing, lists, objects."""
    blank = (type(None), list, tuple, dict, np.ndarray)
    return isinstance(value, pandas.Series) and value.dtype == object and all(isinstance(each, blank) for each in value)


def shown(name, value, match, sure):
    """An output as an answer shows it."""
    # An answer to zeros does not tell how long lists are.
    if (match is None or match["content"] != "json") and (sure or not untold(value)):
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


