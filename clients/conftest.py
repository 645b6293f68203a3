"""A running Mainspring for the tests of real clients.

`server` is shared by all tests of a run; a test that changes what others see takes `start`, a function
that starts one of its own.
"""

import os

import pytest
from mainspring_server import Mainspring


# Lines of each server's log that a failing test shows.
LINES = 60


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows what its servers said last: they are gone before anyone could look."""
    report = (yield).get_result()
    if not report.failed:
        return
    for name, fixture in getattr(item, "funcargs", {}).items():
        for each in getattr(fixture, "running", [fixture]):
            if isinstance(each, Mainspring) and each.log.exists():
                last = each.log.read_text(errors="replace").splitlines()[-LINES:]
                report.sections.append((f"{name}: the log of {each.base}", "\n".join(last)))


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

    begin.running = running
    yield begin
    for each in running:
        each.stop()
