"""`tritonclient.grpc` against the gRPC door."""

import queue

import grpc
import ml_dtypes
import numpy
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

DTYPES = {
    "BOOL": numpy.bool_,
    "UINT8": numpy.uint8,
    "UINT16": numpy.uint16,
    "UINT32": numpy.uint32,
    "UINT64": numpy.uint64,
    "INT8": numpy.int8,
    "INT16": numpy.int16,
    "INT32": numpy.int32,
    "INT64": numpy.int64,
    "FP16": numpy.float16,
    "FP32": numpy.float32,
    "FP64": numpy.float64,
}

# Field of `contents` by type.
CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@pytest.fixture
def client(deployed):
    with triton.InferenceServerClient(deployed.base) as client:
        yield client


@pytest.fixture
def stub(deployed):
    with grpc.insecure_channel(deployed.base) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def rows():
    return numpy.arange(16, dtype=numpy.int32).reshape(1, 16), numpy.ones((1, 16), dtype=numpy.int32)


def inputs():
    made = []
    for name, values in zip(("INPUT0", "INPUT1"), rows()):
        tensor = triton.InferInput(name, list(values.shape), "INT32")
        tensor.set_data_from_numpy(values)
        made.append(tensor)
    return made


def values_of(dtype):
    if numpy.issubdtype(dtype, numpy.integer):
        return numpy.array([[numpy.iinfo(dtype).min, numpy.iinfo(dtype).max]], dtype=dtype)
    if dtype is numpy.bool_:
        return numpy.array([[True, False]])
    return numpy.array([[0.1, -2.5]], dtype=dtype)


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("simple", "1")
    assert not client.is_model_ready("nowhere")
    assert client.get_server_metadata().name == "mainspring"
    model = client.get_model_metadata("simple")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in model.inputs] == [
        ("INPUT0", "INT32", [-1, 16]), ("INPUT1", "INT32", [-1, 16])]
    config = client.get_model_config("simple").config
    assert config.backend == "onnxruntime"
    assert config.input[0].data_type == triton.model_config_pb2.TYPE_INT32
    index = {model.name: model for model in client.get_model_repository_index().models}
    assert (index["simple"].version, index["simple"].state) == ("1", "READY")


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_infer(client, compression):
    outputs = [triton.InferRequestedOutput("OUTPUT1"), triton.InferRequestedOutput("OUTPUT0")]
    result = client.infer("simple", inputs(), outputs=outputs, request_id="mine", compression_algorithm=compression)
    first, second = rows()
    numpy.testing.assert_array_equal(result.as_numpy("OUTPUT0"), first + second)
    numpy.testing.assert_array_equal(result.as_numpy("OUTPUT1"), first - second)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("mine", "simple", "1")
    assert [output.name for output in response.outputs] == ["OUTPUT1", "OUTPUT0"]
    assert len(response.parameters["prediction_id"].string_param) == 36


@pytest.mark.parametrize("datatype", DTYPES)
def test_every_type_survives(client, datatype):
    values = values_of(DTYPES[datatype])
    tensor = triton.InferInput("x", list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    got = client.infer(f"identity-{datatype.lower()}", [tensor]).as_numpy("y")
    assert got.dtype == values.dtype
    numpy.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("datatype", CONTENTS)
def test_typed_contents(stub, datatype):
    values = [b"a", "ä".encode()] if datatype == "BYTES" else values_of(DTYPES[datatype]).ravel().tolist()
    request = service_pb2.ModelInferRequest(model_name=f"identity-{datatype.lower()}")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[1, 2])
    getattr(tensor.contents, CONTENTS[datatype]).extend(values)
    answer, call = stub.ModelInfer.with_call(request)
    got = triton.InferResult(answer).as_numpy("y")
    assert got.ravel().tolist() == values
    metadata = dict(call.initial_metadata())
    assert metadata["mainspring-prediction-id"] == answer.parameters["prediction_id"].string_param
    assert metadata["mainspring-variant"] == "stable"


def test_bfloat16_and_half_precision_have_no_typed_contents(client, stub):
    values = numpy.array([[1.5, -2.0]], dtype=ml_dtypes.bfloat16)
    tensor = triton.InferInput("x", [1, 2], "BF16")
    tensor.set_data_from_numpy(values)
    numpy.testing.assert_array_equal(client.infer("identity-bf16", [tensor]).as_numpy("y"), values)
    for datatype in ("FP16", "BF16"):
        request = service_pb2.ModelInferRequest(model_name=f"identity-{datatype.lower()}")
        request.inputs.add(name="x", datatype=datatype, shape=[1, 2]).contents.fp32_contents.extend([1.0, 2.0])
        with pytest.raises(grpc.RpcError) as failure:
            stub.ModelInfer(request)
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "raw_input_contents" in failure.value.details()


def test_a_tensor_without_elements(client):
    tensor = triton.InferInput("x", [2, 0], "FP32")
    tensor.set_data_from_numpy(numpy.zeros((2, 0), dtype=numpy.float32))
    assert client.infer("large", [tensor]).as_numpy("y").shape == (2, 0)


def test_classification(client):
    tensor = triton.InferInput("x", [2, 2], "FP32")
    tensor.set_data_from_numpy(numpy.array([[0.25, 0.75], [5.0, -1.0]], dtype=numpy.float32))
    got = client.infer("identity-fp32", [tensor], outputs=[triton.InferRequestedOutput("y", class_count=2)]).as_numpy("y")
    assert got.tolist() == [[b"0.750000:1", b"0.250000:0"], [b"5.000000:0", b"-1.000000:1"]]


def test_parameters_that_change_nothing_are_taken(client):
    result = client.infer("simple", inputs(), priority=3, timeout=60_000_000, parameters={"mine": 1, "also": "text", "flag": True})
    numpy.testing.assert_array_equal(result.as_numpy("OUTPUT0"), sum(rows()))


def in_shared_memory():
    made = inputs()
    made[0].set_shared_memory("region", 64)
    return made


def test_strings(client):
    values = numpy.array([["plain", "🙂"], ["", "ä"]], dtype=numpy.object_)
    tensor = triton.InferInput("x", [2, 2], "BYTES")
    tensor.set_data_from_numpy(values)
    got = client.infer("identity-bytes", [tensor]).as_numpy("y")
    assert [value.decode() for value in got.ravel()] == list(values.ravel())


def test_sixteen_megabytes(client):
    values = numpy.random.default_rng(1).random((4, 1 << 20), dtype=numpy.float32)
    tensor = triton.InferInput("x", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    numpy.testing.assert_array_equal(client.infer("large", [tensor]).as_numpy("y"), values * 2)


@pytest.mark.parametrize("call, status, text", [
    (lambda c: c.infer("smple", inputs()), "StatusCode.NOT_FOUND", "did you mean \"simple\"?"),
    (lambda c: c.infer("simple", inputs(), model_version="9"), "StatusCode.NOT_FOUND", "does not serve version"),
    (lambda c: c.infer("simple", inputs()[:1]), "StatusCode.INVALID_ARGUMENT", "input \"INPUT1\" is missing"),
    (lambda c: c.infer("simple", inputs(), outputs=[triton.InferRequestedOutput("OUT")]), "StatusCode.INVALID_ARGUMENT", "unexpected output \"OUT\""),
    (lambda c: c.infer("simple", inputs(), sequence_id=7), "StatusCode.UNIMPLEMENTED", "sequence"),
    (lambda c: c.infer("simple", inputs(), timeout=1), "StatusCode.DEADLINE_EXCEEDED", "deadline"),
    (lambda c: c.infer("simple", in_shared_memory()), "StatusCode.UNIMPLEMENTED", "shared memory (inputs[0].parameters.shared_memory_region)"),
    (lambda c: c.load_model("simple"), "StatusCode.UNIMPLEMENTED", "mainspring apply"),
    (lambda c: c.unload_model("simple"), "StatusCode.UNIMPLEMENTED", "mainspring apply"),
    (lambda c: c.get_system_shared_memory_status(), "StatusCode.UNIMPLEMENTED", "shared memory"),
    (lambda c: c.get_cuda_shared_memory_status(), "StatusCode.UNIMPLEMENTED", "shared memory"),
    (lambda c: c.get_trace_settings(), "StatusCode.UNIMPLEMENTED", "trace settings"),
    (lambda c: c.get_log_settings(), "StatusCode.UNIMPLEMENTED", "log settings"),
])
def test_failures_carry_status_and_reason(client, call, status, text):
    with pytest.raises(InferenceServerException) as failure:
        call(client)
    assert failure.value.status() == status
    assert text in failure.value.message()


def test_statistics(client):
    before = client.get_inference_statistics("simple").model_stats[0]
    client.infer("simple", inputs())
    after = client.get_inference_statistics("simple", "1").model_stats[0]
    assert after.inference_count == before.inference_count + 1


def test_a_stream_keeps_order_and_survives_failures(client):
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for i in range(20):
        model = "nowhere" if i == 7 else "simple"
        client.async_stream_infer(model, inputs(), request_id=str(i))
    got = [answers.get(timeout=60) for _ in range(20)]
    client.stop_stream()
    for i, (result, error) in enumerate(got):
        if i == 7:
            assert "there is no deployment \"nowhere\"" in error.message()
        else:
            assert error is None and result.get_response().id == str(i)


def test_async_infer(client):
    answers = queue.Queue()
    for i in range(10):
        client.async_infer("simple", inputs(), callback=lambda result, error: answers.put((result, error)), request_id=str(i))
    got = [answers.get(timeout=60) for _ in range(10)]
    assert all(error is None for _, error in got)
    assert {result.get_response().id for result, _ in got} == {str(i) for i in range(10)}
