"""The work that every Python peer does: parse the v2 JSON body, run the model, write the v2 JSON answer."""

import json
import os

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])


def predict(document):
    tensor = document["inputs"][0]
    rows = numpy.asarray(tensor["data"], dtype=numpy.float32).reshape(tensor["shape"])
    label, probabilities = session.run(None, {"X": rows})
    return {
        "model_name": "bench",
        "model_version": "1",
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": list(label.shape), "data": label.ravel().tolist()},
            {"name": "probabilities", "datatype": "FP32", "shape": list(probabilities.shape), "data": probabilities.ravel().tolist()},
        ],
    }


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
