"""What the models of the tests do. `CHOSEN` is replaced with the name of one class."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time

import mlflow
import numpy
import pandas
from mlflow.pyfunc import PythonModel


class Identity(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"]


class Told(PythonModel):
    """Does as the first value tells it."""

    def predict(self, context, model_input, params=None):
        order = int(model_input["x"].iloc[0])
        if order == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if order == 2:
            print("spinning", flush=True)
            while True:
                pass
        if order == 3:
            raise RuntimeError("cannot reach postgres://admin:hunter2@db")
        if order == 4:
            print("said by the model")
        if order == 5:
            return numpy.zeros((len(model_input), 2, 2))
        if order == 6:
            return numpy.full(len(model_input), numpy.nan)
        if order == 7:
            sys.exit(3)
        if order == 8:
            os._exit(3)
        if order == 9:
            subprocess.Popen(["sleep", "600"])
            tempfile.NamedTemporaryFile(delete=False).write(b"left behind")
            open("left-behind", "w").close()
        if order == 10:
            return numpy.ones(25_000_000)
        if order == 11:
            return bytearray(1 << 30) and model_input["x"]
        if order == 12:
            time.sleep(0.2)
        if order == 13:
            return ["a text"] * len(model_input)
        if order == 14:
            raise ValueError("the value is out of range")
        return model_input["x"] * 2


class Every(PythonModel):
    """Says what it got."""

    def predict(self, context, model_input, params=None):
        seen = {name: [f"{model_input[name].dtype}: {value!r}" for value in model_input[name]] for name in model_input}
        absent = ["absent"] * len(model_input)
        names = ("flag", "small", "whole", "single", "number", "text", "raw", "day")
        return pandas.DataFrame({name: seen.get(name, absent) for name in names})


class Example(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1)


class Params(PythonModel):
    """Says which parameters it got."""

    def predict(self, context, model_input, params=None):
        return [repr(params)] * len(model_input)


class Nested(PythonModel):
    """Says what it got, and answers with it."""

    def predict(self, context, model_input, params=None):
        print([[type(cell).__name__ for cell in model_input[name]] for name in model_input])
        return pandas.DataFrame({"seen": [repr(row) for row in model_input.to_dict(orient="records")], "same": list(model_input["any"])})


class Parts(PythonModel):
    """Answers in parts of several kinds, as its row says."""

    def predict(self, context, model_input, params=None):
        return ["whole"] * len(model_input)

    def predict_stream(self, context, model_input, params=None):
        count = int(model_input[0]["x"] if isinstance(model_input, list) else model_input["x"])
        try:
            for place in range(count):
                print("part", place)
                if place == 7:
                    raise ValueError("no more")
                if place == 8:
                    os._exit(9)
                yield [f"part {place}", {"part": [place, None, float("nan")]}, numpy.arange(3) + place, place / 2, b"\xff"][place % 5]
        finally:
            with open("closed", "w") as file:
                file.write("closed")


class Chatty(PythonModel):
    def predict(self, context, model_input, params=None):
        number = int(model_input["x"].iloc[0])
        print("printed", number)
        print("to stderr", number, file=sys.stderr)
        logging.getLogger("mine").warning("logged %d", number)
        os.write(1, b"native %d\n" % number)
        return model_input["x"]


class Nothing(Example):
    pass


class Unloadable(PythonModel):
    def load_context(self, context):
        print("looking for the weights")
        raise FileNotFoundError("weights.bin")

    def predict(self, context, model_input, params=None):
        return model_input


mlflow.models.set_model(CHOSEN())
