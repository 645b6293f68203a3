"""Models of several frameworks, deployed as they were logged and loaded by mlflow itself."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import python_models

SHARED = {"python": {"env": "shared"}}


@pytest.fixture(scope="session")
def models(server):
    """By name, the folder of the mlflow model and rows for it; all of them are deployed."""
    found = python_models.register(server.url)
    for name in found:
        server.deploy(f"python-{name}", f"models:/python-{name}/1", engine=SHARED)
    return found
