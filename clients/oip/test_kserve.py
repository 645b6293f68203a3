"""The `kserve` client's v2 protocol over REST and gRPC. Runs in that client's own environment."""

import asyncio

import numpy
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig


def request(model, binary):
    values = numpy.arange(16, dtype=numpy.int32).reshape(1, 16)
    inputs = []
    for name in ("INPUT0", "INPUT1"):
        tensor = InferInput(name=name, shape=[1, 16], datatype="INT32")
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    return InferRequest(model_name=model, infer_inputs=inputs, request_id="k1"), values * 2


def test_rest(deployed):
    async def talk():
        client = InferenceRESTClient(config=RESTConfig(protocol="v2"))
        assert await client.is_server_live(deployed.url)
        assert await client.is_server_ready(deployed.url)
        assert await client.is_model_ready(deployed.url, "simple")
        for binary in (False, True):
            asked, expected = request("simple", binary)
            answer = await client.infer(deployed.url, asked, model_name="simple")
            outputs = {output.name: output.as_numpy() for output in answer.outputs}
            numpy.testing.assert_array_equal(outputs["OUTPUT0"], expected)
            assert answer.id == "k1"

    asyncio.run(talk())


def test_grpc(deployed):
    async def talk():
        client = InferenceGRPCClient(url=deployed.base)
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("simple")
        for binary in (False, True):
            asked, expected = request("simple", binary)
            answer = await client.infer(asked)
            outputs = {output.name: output.as_numpy() for output in answer.outputs}
            numpy.testing.assert_array_equal(outputs["OUTPUT0"], expected)
        await client.close()

    asyncio.run(talk())
