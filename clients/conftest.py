"""A running Mainspring for the tests of real clients.

`server` is shared by all tests of a run; a test that changes what others see takes `start`, a function
that starts one of its own.
"""

import os

import pytest
from mainspring_server import Mainspring


@pytest.fixture(autouse=True)
def one_address():
    """A registry that is named apart from the tracking server outlives the test that named it, and with it the server."""
    yield
    assert "MLFLOW_REGISTRY_URI" not in os.environ, "name the tracking server alone: the registry follows it"


@pytest.fixture(scope="session")
def server():
    """One server for all tests that do not mind each other."""
    running = Mainspring()
    yield running
    running.stop()


@pytest.fixture
def start():
    """Starts servers that end with the test: `start("--journal-sync", "always", data=folder)`."""
    running = []

    def begin(*flags, **more):
        running.append(Mainspring(*flags, **more))
        return running[-1]

    yield begin
    for each in running:
        each.stop()
