"""The process that runs one MLflow model: it opens the model, then answers one call after another.

Mainspring starts it with a connected socket in place of standard input and sends it `values.py` and this text. Both sides speak
frames: `MSW1`, the length of a JSON header (u32), the length of the body (u64), both little-endian, then the two.
The header names the tensors; the body holds their bytes, each tensor at a multiple of 8. Numbers are little-endian
and row-major; BYTES are a u32 length before each element.

Elements of a nested tensor are in Python's marshal format, version 2. An answer in parts is a frame a part, each
of which is answered with `{"more": true}` or false, and a last one that says `{"end": true}`.

It runs with the packages of the model, so it keeps to what Python 3.8 and MLflow 2.0 know.
"""

import gc
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
import time
import traceback

PREFIX = struct.Struct("<4sIQ")
SMALL = 1 << 16


class Link:
    """Frames over a socket."""

    def __init__(self, sock):
        self.sock = sock
        # Calls of as many rows have the same header.
        self.last = b"", None

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
            # All of it at once, as far as signals let it.
            count = self.sock.recv_into(view, len(view), socket.MSG_WAITALL)
            if count == 0:
                raise EOFError
            view = view[count:]
        text = data[PREFIX.size:start]
        if text != self.last[0]:
            self.last = text, json.loads(text)
        return self.last[1], held

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
        self.call, self.cost = source.calls(getattr(self.inputs, "nested", False)), None
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
            if len(said) == 1 and said[0]["name"] is None and said[0]["content"] == "json":
                form, found = "array", [(None, records(answer))]
            else:
                form, found = pieces(answer)
            self.cost = cost(lambda: held(self.call(first(data))))
            return fields(form, found, said, data is example)
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
            "streams": self.source.streams, "cost": self.cost, "signature": json.dumps(self.source.signature.to_dict()),
            "python": "%d.%d.%d" % sys.version_info[:3], "mlflow": getattr(mlflow, "__version__", "none"),
        }

    def answer(self, header, body):
        data = self.inputs.taken(header["tensors"], body)
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
        data = self.inputs.taken(header["tensors"], body)
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


def first(data):
    """One row of what a model takes."""
    if isinstance(data, pandas.DataFrame):
        return data.iloc[:1]
    return data[:1] if isinstance(data, (np.ndarray, list)) else data


def cost(call):
    """Microseconds of a call, by the clock and of the processor: of a few, the least, for others may use the machine."""
    best = None
    try:
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            wall, cpu = (time.perf_counter() - wall) * 1e6, (time.process_time() - cpu) * 1e6
            if best is None or wall < best["wall_us"]:
                best = {"wall_us": wall, "cpu_us": cpu}
            if wall > 100_000:
                break
    except Exception:
        # One row alone is nothing that it answers to.
        return None
    return best


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
    # What is there now stays: without this, collections between calls look at all of the model's libraries.
    gc.collect()
    gc.freeze()
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


if __name__ == "mainspring_worker":
    serve(SOCKET)
