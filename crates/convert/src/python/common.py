"""What converting and optimising share: real rows, the comparison of answers, and the clock.

It runs with the packages of the model and the exporters beside them, never in the server's Python. `worker` is
the program that serves models in Python: what it makes of a signature and of an answer is what a converted
model has to take and to give.
"""

import json
import os
import sys
import time

import numpy as np
import pandas
import worker

worker.np, worker.pandas = np, pandas

# Longer runs of one measurement tell nothing more.
BUDGET = 0.4
# As the server: a model of up to this many bytes runs on the thread that calls it.
SMALL = 16 << 20
SHOWN = 80
# Rows that are also asked about one at a time.
ALONE = 16


class Refused(Exception):
    """Why it cannot be done, in a sentence for the user."""


def say(text):
    print("@ " + text, flush=True)


# ---- the worker


def pyfunc(model):
    """What MLflow loaded, behind the worker's model."""
    return getattr(model, "source", model).model


def inputs_of(schema):
    """What the worker makes of a signature's inputs."""
    if schema.is_tensor_spec():
        return worker.Tensors(schema)
    try:
        return worker.Columns(schema)
    except TypeError:
        return worker.Columns(schema, False)


# ---- rows


def rows_of(inputs, meta, order):
    """Real rows as the worker takes them: where they are from, by input an array, and labels if there are some."""
    label = order.get("label")
    if order.get("rows"):
        data = read(order["rows"]["path"], order["rows"]["format"])
        where = order["rows"]["from"]
    else:
        data = meta.load_input_example(order["root"]) if meta.saved_input_example_info else None
        where = "the input example"
        if data is None:
            raise Refused(
                "there are no rows to compare on: the model was logged without an input example, and none of its run's "
                "datasets is in this server's store; give some with --data FILE (CSV, Parquet, JSON)"
            )
    labels = None
    if label is not None:
        if not isinstance(data, pandas.DataFrame) or label not in data:
            raise Refused("there is no column %r in %s to measure the accuracy with" % (label, where))
        labels = data[label].to_numpy()
    given = taken(inputs, data, where)
    count = length(given)
    most = order["max_rows"]
    if count > most:
        given, count = part(given, 0, most), most
        labels = None if labels is None else labels[:most]
    if count == 0:
        raise Refused("%s has no rows" % where)
    return where, given, labels


def read(path, form):
    try:
        if form == "csv":
            return pandas.read_csv(path)
        if form == "parquet":
            return pandas.read_parquet(path)
        if form == "npy":
            return np.load(path, allow_pickle=False)
        if form == "npz":
            with np.load(path, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
        return from_json(path)
    except Refused:
        raise
    except Exception as error:
        raise Refused("the rows cannot be read as %s: %s" % (form, error)) from None


def from_json(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        held = json.loads(text)
    except ValueError:
        held = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(held, dict):
        for form in ("dataframe_split", "split"):
            if form in held:
                held = held[form]
        if "columns" in held and "data" in held:
            return pandas.DataFrame(held["data"], columns=held["columns"])
        held = held.get("dataframe_records", held.get("inputs", held.get("instances", held)))
    if isinstance(held, list) and held and not isinstance(held[0], dict):
        return np.asarray(held)
    if isinstance(held, dict) and all(isinstance(value, list) for value in held.values()) and not worker_like(held):
        return pandas.DataFrame(held)
    return pandas.DataFrame(held) if isinstance(held, list) else {name: np.asarray(value) for name, value in held.items()}


def worker_like(held):
    """Whether lists in lists are there: tensors by name, not columns."""
    return any(value and isinstance(value[0], list) for value in held.values())


def taken(inputs, data, where):
    """By name, what the worker would be sent for these rows."""
    if isinstance(inputs, worker.Columns):
        return columns(inputs, data, where)
    out = {}
    for name, dtype, shape, optional in inputs.fields:
        if isinstance(data, dict):
            if name not in data and optional:
                continue
            if name not in data:
                raise Refused("%s has no tensor %r" % (where, name))
            value = data[name]
        else:
            value = data.to_numpy() if isinstance(data, pandas.DataFrame) else data
        value = np.asarray(value)
        if dtype == "BYTES":
            out[name] = ([str(each).encode() for each in value.ravel()], list(value.shape))
        else:
            out[name] = np.ascontiguousarray(value, worker.NUMBERS[dtype])
    return out


def columns(inputs, data, where):
    if isinstance(data, dict):
        data = pandas.DataFrame(data)
    if not isinstance(data, pandas.DataFrame):
        data = pandas.DataFrame(np.asarray(data), columns=list(inputs.labels))
    out = {}
    for name, label, kind, optional in inputs.fields:
        if label not in data and name in data:
            label = name
        if label not in data:
            if optional:
                continue
            raise Refused("%s has no column %r" % (where, name))
        column = data[label]
        if worker.COLUMNS[kind] == "BYTES":
            if kind in ("binary", "datetime"):
                raise Refused("column %r is %s, which ONNX has no type for" % (name, kind))
            out[name] = (["" if each is None or each is pandas.NA or each != each else str(each) for each in column.tolist()], [len(column)])
            out[name] = ([text.encode() for text in out[name][0]], out[name][1])
        else:
            try:
                out[name] = np.ascontiguousarray(column.to_numpy(), worker.NUMBERS[worker.COLUMNS[kind]])
            except (ValueError, TypeError) as error:
                raise Refused("column %r of %s is no %s: %s" % (name, where, kind, error)) from None
    return out


def length(given):
    first = next(iter(given.values()))
    return first[1][0] if isinstance(first, tuple) else len(first)


def part(given, start, stop):
    """Some of the rows."""
    out = {}
    for name, value in given.items():
        if isinstance(value, tuple):
            size = int(np.prod(value[1][1:])) if len(value[1]) > 1 else 1
            held = value[0][start * size:stop * size]
            out[name] = (held, [stop - start] + list(value[1][1:]))
        else:
            out[name] = value[start:stop]
    return out


def feeds(given):
    """The same rows as ONNX Runtime takes them."""
    out = {}
    for name, value in given.items():
        if isinstance(value, tuple):
            texts = np.empty(len(value[0]), object)
            texts[:] = [each.decode() for each in value[0]]
            value = texts.reshape(value[1])
        out[name] = value
    return out


# ---- answers


def answers(model, given):
    """The worker's answer to the rows: an array for each output."""
    found = model.call(model.inputs.build(given))
    form, pieces = worker.pieces(found)
    if form == "array" and model.outputs.form == "array":
        pieces = [(model.outputs.fields[0]["name"], pieces[0][1])]
    by_name = dict(pieces)
    return [worker.plain(by_name[field["name"]]) for field in model.outputs.fields]


def session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if os.path.getsize(path) <= SMALL:
        options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare(fields, expected, got, tolerance):
    """For each output, how many rows differ by more than is allowed, and the worst of them."""
    out, agree = [], np.ones(len(expected[0]), bool)
    for field, want, have in zip(fields, expected, got):
        have = np.asarray(have)
        if want.shape != have.shape:
            raise Refused("output %r has the shape %s where the model's own answer has %s" % (field["name"], list(have.shape), list(want.shape)))
        close = want.dtype.kind == "f" or have.dtype.kind == "f"
        rows = len(want)
        with np.errstate(all="ignore"):
            if close:
                a, b = want.astype("f8").reshape(rows, -1), have.astype("f8").reshape(rows, -1)
                same = (a == b) | (np.isnan(a) & np.isnan(b))
                apart = np.where(same, 0.0, np.abs(a - b))
                allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(a)
                ratio = np.where(same, 0.0, apart / np.maximum(allowed, 1e-300))
                # Where one of the two is no number, they differ by more than any tolerance.
                ratio = np.where(np.isnan(ratio), np.inf, ratio)
                share = ratio.max(axis=1) if ratio.shape[1] else np.zeros(rows)
                far = share > 1
            else:
                # Labels, whole numbers and truth values are the same or they are not.
                a, b = texts(want).reshape(rows, -1), texts(have).reshape(rows, -1)
                share = (a != b).any(axis=1).astype("f8")
                far = share > 0
        agree &= ~far
        row = int(np.argmax(share)) if rows else 0
        worst = {"row": row, "expected": shown(want[row]), "got": shown(have[row])}
        if close:
            place = int(np.argmax(ratio[row])) if ratio.shape[1] else 0
            worst["difference"] = finite(apart[row, place])
            if a.shape[1] > 1:
                worst.update(element=place, expected=shown(a[row, place]), got=shown(b[row, place]))
        out.append({
            "name": field["name"], "rule": "close" if close else "equal", "differing": int(far.sum()),
            "share": finite(share.max() if rows else 0.0), "worst": worst,
        })
    return out, agree


def alone(model, run, given, agree, tolerance):
    """Refuses a graph that does not answer a row alone as the model does. A request has one row more often than a thousand,
    and an export may hold for one size alone. Rows that `agree` among others are asked about: the others are told of
    anyway."""
    fields = model.outputs.fields
    for row in map(int, np.flatnonzero(agree)[:ALONE]):
        one = part(given, row, row + 1)
        outputs, same = compare(fields, answers(model, one), run(feeds(one)), tolerance)
        if not same.all():
            name, worst = next((each["name"], each["worst"]) for each in outputs if each["differing"])
            raise Refused(
                "it answers row %d alone otherwise than the model: output %r is %s, and the model says %s; among all rows both agree"
                % (row, name, worst["got"], worst["expected"])
            )


def texts(array):
    if array.dtype == object:
        return np.array(["" if each is None else each.decode() if isinstance(each, bytes) else str(each) for each in array.ravel()]).reshape(array.shape)
    return array.astype("i8") if array.dtype.kind in "biu" else array.astype(str)


def finite(number):
    """A number that JSON can hold."""
    number = float(number)
    return number if np.isfinite(number) else 1e300


def shown(value):
    value = value.tolist() if hasattr(value, "tolist") else value
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


# ---- the clock


def clock(call):
    """Nanoseconds of a call: the median of many."""
    for _ in range(3):
        call()
    took, until = [], time.perf_counter() + BUDGET
    while len(took) < 5 or (time.perf_counter() < until and len(took) < 2000):
        began = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - began)
    return int(np.median(took))


def batch(given):
    """As many rows as one measured batch has."""
    return min(length(given), 1000)


# ---- the program


def run(main):
    """Runs `main` with the order beside this program and leaves its report there."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "order.json"), encoding="utf-8") as file:
        order = json.load(file)
    try:
        report = main(order)
    except (Refused, worker.Unservable, worker.BadInput) as error:
        report = {"refused": str(error)}
    with open(os.path.join(here, "report.json"), "w", encoding="utf-8") as file:
        json.dump(report, file)
    sys.stdout.flush()
    # Threads of the frameworks would keep the process.
    os._exit(0)
