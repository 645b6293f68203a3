"""PyTorch models converted to ONNX by the command: the same answers from the server's own ONNX Runtime."""

import json

import calls
import mlflow
import numpy
import pandas
import pytest
import torch
from mlflow.models import infer_signature
from sklearn.datasets import load_digits
from test_torch import answers, log_images


def log_columns(name):
    """A data frame in, a data frame out."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3)).eval()
    frame = pandas.DataFrame(load_digits().data.astype("float32"), columns=[f"p{place}" for place in range(64)])[:100]
    own = pandas.DataFrame(answers(model, frame.to_numpy()))
    mlflow.pytorch.log_model(model, name="model", signature=infer_signature(frame, own), input_example=frame, serialization_format="pickle", registered_model_name=name)
    return calls.Logged(frame[:20], own[:20])


class Bessel(torch.nn.Module):
    """Calls an operator that ONNX does not have."""

    def forward(self, rows):
        return torch.special.bessel_j0(rows)


def log_bessel(name):
    rows = numpy.ones((5, 2), "float32")
    own = answers(Bessel(), rows)
    mlflow.pytorch.log_model(Bessel(), name="model", signature=infer_signature(rows, own), input_example=rows, registered_model_name=name)
    return calls.Logged(rows, own)


LOGGED = {"images": log_images, "columns": log_columns, "bessel": log_bessel}


@pytest.fixture(scope="session")
def models(server):
    return calls.register(server, "torch-convert", LOGGED)


@pytest.mark.parametrize("name", ["images", "columns"])
def test_converted(server, models, name):
    calls.check_conversion(server, f"torch-convert-{name}", models[name], "PyTorch")


def test_optimized(server, models):
    """Convolutions have weights that fit into 8 bits: what was made is smaller, and graph optimisation changes no answer."""
    if not any(version.version == "2" for version in mlflow.MlflowClient().search_model_versions("name = 'torch-convert-images'")):
        server.cli("convert", "torch-convert-images/1", "--env", "shared")
    job = json.loads(server.cli("optimize", "torch-convert-images/2", "--env", "shared", "--output", "json"))
    made = {each["name"]: each for each in job["findings"]["candidates"]}
    assert {"graph", "int8-dynamic", "int8-static"} <= set(made), job["findings"]["failed"]
    assert made["int8-static"]["speed"]["bytes"] < job["findings"]["before"]["bytes"]
    assert all(each["agreeing"] == job["findings"]["rows"] for name, each in made.items() if name == "graph")


def test_an_operator_that_onnx_does_not_have_is_named(server, models):
    refused = server.cli("convert", "torch-convert-bessel/1", "--env", "shared", check=False)
    assert refused.returncode == 1 and "bessel_j0" in refused.stderr
