"""ONNX Runtime reports to its makers unless it is told not to before it is loaded: the server tells it."""

import subprocess

import pytest
import requests
from conftest import HERE, PYTHON
from mainspring_server import Mainspring


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A server with a home of its own, that nobody has told anything: in CI nothing is reported in any case."""
    for name in ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    server = Mainspring(env={"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")})
    try:
        yield server
    finally:
        server.stop()


def test_a_model_leaves_no_trace_of_its_machine(alone, tmp_path):
    subprocess.run([PYTHON, HERE / "oip_models.py", alone.url], check=True, capture_output=True, env=alone.env | {"ORT_DISABLE_TELEMETRY": "1"})
    alone.deploy("simple", "models:/oip-simple/1")
    assert requests.get(f"{alone.url}/v2/models/simple/ready").status_code == 200
    # An id of the machine and what was not sent yet would stand there.
    assert not [found for found in tmp_path.rglob("*") if "onnxruntime" in found.name.lower() or found.name == "deviceid"]
