"""The protocol's models, deployed once for all tests of this folder."""

import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = HERE.parent.parent / ".venv" / "bin" / "python"

NAMES = ["simple", "large", "reciprocal"]
DATATYPES = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP32", "FP64", "BYTES"]


@pytest.fixture(scope="session")
def deployed(server):
    """The server, with every model of `oip_models.py` deployed under its name."""
    # In a process of its own: the kserve client's environment has no mlflow.
    done = subprocess.run([PYTHON, HERE / "oip_models.py", server.url], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in NAMES + [f"identity-{datatype.lower()}" for datatype in DATATYPES]:
        server.deploy(name, f"models:/oip-{name}/1")
    return server
