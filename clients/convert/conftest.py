"""Models of several frameworks, registered as version 1 with the alias champion, to be converted."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import convert_models


@pytest.fixture(scope="session")
def registered(server):
    """By name, the rows that the model was logged with."""
    return convert_models.register(server.url)


@pytest.fixture(scope="session")
def converted(server, registered):
    """By name, what `mainspring convert` printed for each model that can be converted; it makes version 2."""
    return {name: server.cli("convert", f"convert-{name}@champion", "--env", "shared") for name in convert_models.CONVERTED}
