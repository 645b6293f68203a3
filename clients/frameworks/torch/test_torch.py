"""PyTorch models as they were logged: the same answers as the module gives in process."""

import calls
import mlflow
import numpy
import pytest
import torch
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes, load_digits


def fit(model, rows, target, loss, steps):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        wrong = loss(model(rows), target)
        wrong.backward()
        optimizer.step()
    return model.eval()


def answers(model, rows):
    with torch.no_grad():
        return model(torch.from_numpy(rows)).numpy()


def log_dense(name):
    """A regression over ten columns."""
    data = load_diabetes()
    rows = data.data.astype("float32")
    layers = [torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)]
    target = torch.tensor(data.target, dtype=torch.float32)[:, None]
    model = fit(torch.nn.Sequential(*layers), torch.from_numpy(rows), target, torch.nn.functional.mse_loss, 20)
    own = answers(model, rows[:20])
    mlflow.pytorch.log_model(model, name="model", signature=infer_signature(rows[:20], own), serialization_format="pickle", registered_model_name=name)
    return calls.Logged(rows[:20], own)


def log_images(name):
    """Convolutions over 8 by 8 pixels; an example and no signature."""
    data = load_digits()
    images = (data.images / 16).astype("float32")[:, None]
    layers = [torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)]
    model = fit(torch.nn.Sequential(*layers), torch.from_numpy(images), torch.tensor(data.target), torch.nn.functional.cross_entropy, 15)
    own = answers(model, images[:20])
    assert (own.argmax(1) == data.target[:20]).mean() > 0.7
    mlflow.pytorch.log_model(model, name="model", input_example=images[:3], registered_model_name=name)
    return calls.Logged(images[:20], own)


LOGGED = {"dense": log_dense, "images": log_images}


@pytest.fixture(scope="session")
def models(server):
    return calls.register(server, "torch", LOGGED)


@pytest.mark.parametrize("name", LOGGED)
def test_v2(server, models, name):
    got = calls.infer(server, f"torch-{name}", {"input": models[name].rows})
    calls.same(*got.values(), models[name].own)


@pytest.mark.parametrize("name", LOGGED)
def test_scoring(server, models, name):
    calls.check_scoring(server, f"torch-{name}", models[name])


def test_one_row(server, models):
    got = calls.infer(server, "torch-images", {"input": models["images"].rows[3:4]})
    calls.same(*got.values(), models["images"].own[3:4])


def test_not_a_number_stays_one(server, models):
    rows = models["dense"].rows.copy()
    rows[1] = numpy.nan
    (got,) = calls.infer(server, "torch-dense", {"input": rows}).values()
    assert numpy.isnan(got[1]).all() and not numpy.isnan(got[0]).any()
