"""Makes an MLflow model of an ONNX file: the signature, the input example and the run of the model that it comes from."""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common
import onnx

# Above this, protobuf cannot hold the weights in one file.
LARGE = 1 << 30
EXAMPLES = ("artifact_path", "serving_input_path")


def main(order):
    import mlflow.onnx
    import numpy
    import onnxruntime
    from mlflow.models import Model

    common.say("packaging")
    source = Model.load(order["root"])
    info = source.saved_input_example_info
    metadata = dict(source.metadata or {})
    if order.get("answer"):
        # What its Python model answers with, for protocols that write answers as that one would.
        metadata["mainspring"] = {"answer": order["answer"]}
    model = Model(run_id=source.run_id, signature=source.signature, saved_input_example_info=info)
    held = onnx.load(order["file"])
    mlflow.onnx.save_model(
        held, order["into"], mlflow_model=model, metadata=metadata or None, save_as_external_data=held.ByteSize() > LARGE,
        pip_requirements=["onnx==" + onnx.__version__, "onnxruntime==" + onnxruntime.__version__, "numpy==" + numpy.__version__],
    )
    for name in EXAMPLES:
        if info and info.get(name):
            shutil.copy(os.path.join(order["root"], info[name]), os.path.join(order["into"], info[name]))
    return {"packaged": order["into"]}


common.run(main)
