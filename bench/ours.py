"""The server under measure, with the models of the demo in it."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import lib

sys.path[:0] = [str(lib.ROOT / "examples" / folder) for folder in ("demo", "common")]

COLUMNS = 30
DEPLOYMENT = "apiVersion: mainspring/v1\nkind: Deployment\nname: {name}\nmodel: {model}\nlimits: {{maxInFlight: 4096}}\n"


def library():
    """ONNX Runtime's shared library, of the package that the peers use too."""
    found = (pathlib.Path(sys.prefix) / "lib").glob("python*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
    return str(next(iter(sorted(found))))


class Server(lib.Process):
    """`mainspring up` on a fresh data folder."""

    def __init__(self, binary, *flags, folder=None):
        self.binary = os.path.abspath(binary)
        self.kept = folder is not None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="mainspring-bench-"))
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        flags = [*flags, "--onnxruntime", library()]
        command = [self.binary, "up", "--port", "0", "--port-file", port_file, "--data", self.folder / "data", "--log-level", "warn", *flags]
        super().__init__(command, lambda: port_file.exists() and port_file.read_text().strip(), cwd=self.folder)
        self.port = int(port_file.read_text())
        self.url = f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.stop()
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def cli(self, *words):
        done = subprocess.run([self.binary, "--server", self.url, *words], capture_output=True, text=True, env=lib.environment(), cwd=self.folder)
        if done.returncode != 0:
            raise RuntimeError(f"mainspring {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def deploy(self, name, model, more=""):
        path = self.folder / f"{name}.yaml"
        path.write_text(DEPLOYMENT.format(name=name, model=model) + more)
        self.cli("apply", "-f", str(path))


def boosted():
    """The 100-tree model on 30 columns: the data and the ONNX file's bytes."""
    import models
    import training
    from sklearn import datasets

    data = models.load(datasets.load_breast_cancer)
    model = models.boosting().fit(data.train_x.to_numpy(), data.train_y.to_numpy())
    return data, training.to_onnx(model, data)


def files():
    """The model and a request for one row, on disk: (model, JSON body)."""
    import json

    lib.OUT.mkdir(exist_ok=True)
    model, body = lib.OUT / "model.onnx", lib.OUT / "row.json"
    data, onnx = boosted()
    model.write_bytes(onnx.SerializeToString())
    row = data.test_x.head(1).to_numpy().ravel().tolist()
    body.write_text(json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, COLUMNS], "data": row}]}))
    return model, body


def register(server, name, onnx):
    """Log and register through the mlflow client; answers the version."""
    import mlflow
    import models

    mlflow.set_tracking_uri(server.url)
    with models.quiet():
        mlflow.set_experiment("bench")
        with mlflow.start_run():
            info = mlflow.onnx.log_model(onnx, name="model", registered_model_name=name, pip_requirements=["onnxruntime"])
    return str(info.registered_model_version)
