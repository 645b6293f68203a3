"""The work that every Python peer does: parse the v2 JSON body, run the model, write the v2 JSON answer."""

import json
import os

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])


NAMES = [output.name for output in session.get_outputs()]
# A column of a converted model is a vector, which clients send as rows of one value.
RANKS = {each.name: len(each.shape) for each in session.get_inputs()}
TYPES = {"int64": "INT64", "float32": "FP32", "float64": "FP64"}


def predict(document):
    feeds = {
        tensor["name"]: numpy.asarray(tensor["data"], dtype=numpy.float32).reshape(tensor["shape"][: RANKS[tensor["name"]]])
        for tensor in document["inputs"]
    }
    outputs = [
        {"name": name, "datatype": TYPES[value.dtype.name], "shape": list(value.shape), "data": value.ravel().tolist()}
        for name, value in zip(NAMES, session.run(None, feeds))
    ]
    return {"model_name": "bench", "model_version": "1", "outputs": outputs}


async def asgi(scope, receive, send):
    """A bare ASGI application: nothing between uvicorn and the model."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = json.dumps(predict(json.loads(body))).encode() if body else b"{}"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def fastapi():
    """FastAPI as its tutorial writes it, with typed bodies. Made by uvicorn's --factory."""
    import fastapi as framework
    import pydantic

    class Tensor(pydantic.BaseModel):
        name: str
        datatype: str
        shape: list[int]
        data: list[float]

    class Request(pydantic.BaseModel):
        inputs: list[Tensor]

    app = framework.FastAPI()

    @app.get("/ready")
    async def ready():
        return {}

    @app.post("/v2/models/bench/infer")
    async def infer(request: Request):
        return predict(request.model_dump())

    return app
