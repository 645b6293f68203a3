"""Models with each kind of signature, deployed here and loaded by mlflow itself."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import scoring_models


@pytest.fixture(scope="session")
def folders(server):
    """By name, the folder of the mlflow model; all of them are deployed under their names."""
    found = scoring_models.register(server.url)
    for name in found:
        # The root of the server scores one deployment: MLflow's client can only name a host and a port.
        more = {"default": True} if name == "columns" else {}
        server.deploy(f"score-{name}", f"models:/scoring-{name}/1", **more)
    return found


@pytest.fixture
def scored(server, folders):
    """The server, once everything is deployed."""
    return server
