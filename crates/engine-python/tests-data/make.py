#!/usr/bin/env python3
"""Makes the models of this crate's tests in a folder: `make.py FOLDER`. Each is an MLflow model whose code is
the class in `behaviour.py` beside this file, so that what a test sees is what a real model would do.
"""

import pathlib
import sys

import mlflow
import numpy
import pandas
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property

HERE = pathlib.Path(__file__).resolve().parent
FLOATS = Schema([TensorSpec(numpy.dtype("float32"), (-1, 4), "x")])
ONE = Schema([ColSpec(DataType.double, "x")])


def save(folder, name, signature=None, code=None, **more):
    path = folder / name
    source = (HERE / "behaviour.py").read_text().replace("CHOSEN", code or name.title().replace("-", ""))
    script = folder / f"{name}.py"
    script.write_text(source)
    mlflow.pyfunc.save_model(str(path), python_model=str(script), signature=signature, pip_requirements=["mlflow"], **more)
    script.unlink()


def main():
    folder = pathlib.Path(sys.argv[1])
    floats = ModelSignature(inputs=FLOATS, outputs=Schema([TensorSpec(numpy.dtype("float32"), (-1, 4))]))
    save(folder, "identity", floats)
    save(folder, "told", ModelSignature(inputs=ONE, outputs=ONE))
    every = {
        "flag": True, "small": numpy.int32(7), "whole": 7, "single": numpy.float32(1.5), "number": 1.5, "text": "Grüße",
        "raw": b"\x00\xff", "day": pandas.Timestamp("2026-01-31T12:00:00"),
    }
    frame = pandas.DataFrame({name: [value] for name, value in every.items()})
    frame["small"] = frame["small"].astype("int32")
    frame["single"] = frame["single"].astype("float32")
    columns = [ColSpec(DataType[kind], name, required=name != "text") for name, kind in zip(every, (
        "boolean", "integer", "long", "float", "double", "string", "binary", "datetime"))]
    save(folder, "every", ModelSignature(inputs=Schema(columns)))
    save(folder, "example", None, input_example=numpy.zeros((2, 3), numpy.float32))
    # MLflow before 2.9 did not make a signature of an example.
    mlmodel = folder / "example" / "MLmodel"
    text = mlmodel.read_text()
    mlmodel.write_text(text[: text.index("\nsignature:")] + "\n")
    params = ParamSchema([
        ParamSpec("heat", DataType.double, 0.5), ParamSpec("stop", DataType.string, ["."], shape=(-1,)), ParamSpec("day", DataType.datetime, numpy.datetime64("2026-01-31")),
    ])
    save(folder, "params", ModelSignature(inputs=ONE, outputs=Schema([ColSpec(DataType.string)]), params=params))
    nested = Schema([
        ColSpec(Array(DataType.double), "list"), ColSpec(Object([Property("a", DataType.long), Property("b", Array(DataType.string), required=False)]), "object"),
        ColSpec(Map(DataType.long), "map"), ColSpec(AnyType(), "any", required=False),
    ])
    save(folder, "nested", ModelSignature(inputs=nested, outputs=Schema([ColSpec(DataType.string, "seen"), ColSpec(AnyType(), "same", required=False)])))
    save(folder, "parts", ModelSignature(inputs=ONE, outputs=Schema([ColSpec(DataType.string)])))
    save(folder, "chatty", ModelSignature(inputs=ONE, outputs=ONE))
    (folder / "plain").mkdir()
    (folder / "plain" / "model.py").write_text((HERE / "plain.py").read_text())
    (folder / "plain" / "weights.txt").write_text("3")
    for name in ("tiny", "slow", "waits"):
        (folder / name).mkdir()
        (folder / name / "model.py").write_text((HERE / "tiny.py").read_text())
        (folder / name / name).touch()
    (folder / "silent.py").write_text("def predict(model, data):\n    return data\n")
    save(folder, "nothing", None)
    save(folder, "unloadable", ModelSignature(inputs=ONE))
    corrupt = folder / "corrupt"
    corrupt.mkdir()
    (corrupt / "MLmodel").write_text("flavors: {python_function: {loader_module: no_such_module}}\n")


main()
