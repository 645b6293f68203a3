"""A running Mainspring, for the tests of real clients. The binary is MAINSPRING_BIN, which `make test` sets."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import services

# What runs on loopback must not go through a proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"


def binary():
    if found := os.environ.get("MAINSPRING_BIN"):
        return os.path.abspath(found)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mainspring" / "target"
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or cache) / "debug" / "mainspring")


def onnxruntime():
    """The shared library in this environment, or in the repository's."""
    for prefix in (pathlib.Path(sys.prefix), ROOT / ".venv"):
        found = sorted((prefix / "lib").glob("python*/site-packages/onnxruntime/capi/libonnxruntime.so.*"))
        if found:
            return found[0]
    raise RuntimeError("ONNX Runtime is not installed; run: make setup")


@contextlib.contextmanager
def stores(postgres, bucket):
    """A new database on a Postgres and a folder of a bucket: the flag and the variables by which a server uses them."""
    name = f"clients_{uuid.uuid4().hex}"
    ask = [services.newest("psql"), "--quiet", "--command"]
    subprocess.run([*ask, f"CREATE DATABASE {name}", postgres], check=True)
    endpoint, _, folder = bucket.rpartition("/")
    env = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
           "AWS_SECRET_ACCESS_KEY": "test", "MAINSPRING_DATABASE": urllib.parse.urlsplit(postgres)._replace(path=f"/{name}").geturl()}
    try:
        yield ["--artifacts", f"s3://{folder}/{name}"], env
    finally:
        subprocess.run([*ask, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", postgres], check=True)


class Mainspring:
    """`mainspring up` on a fresh data folder, or on one that is given; `under` a command that runs it in its own process."""

    def __init__(self, *flags, data=None, env=None, under=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mainspring-clients-"))
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.log = self.folder / "server.log"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")} | (env or {})
        port_file = self.folder / "port"
        command = [*under, binary(), "up", "--port", "0", "--port-file", str(port_file), "--data", str(self.data),
                   "--onnxruntime", str(onnxruntime()), "--python", sys.executable, *map(str, flags)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, cwd=self.folder)
        until = time.monotonic() + 120
        while not (port_file.exists() and port_file.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > until:
                said = self.log.read_text(errors="replace")
                self.stop()
                raise RuntimeError(f"mainspring did not start: {said}")
            time.sleep(0.01)
        self.port = int(port_file.read_text())
        self.base = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.base}"

    def cli(self, *words, check=True, stdin=None):
        """A client command against this server; with `check` its output, else the whole outcome."""
        done = subprocess.run([binary(), "--server", self.url, *map(str, words)], input=stdin, capture_output=True, text=True, env=self.env, cwd=self.folder)
        if not check:
            return done
        assert done.returncode == 0, f"mainspring {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, document):
        """Declare what the YAML says."""
        return self.cli("apply", "-f", "-", stdin=document)

    def deploy(self, name, model, **more):
        lines = ["apiVersion: mainspring/v1", "kind: Deployment", f"name: {name}", f"model: {model}"]
        lines += [f"{key}: {json.dumps(value)}" for key, value in more.items()]
        return self.apply("\n".join(lines) + "\n")

    def query(self, sql):
        """Rows of the journal as dictionaries."""
        answer = json.loads(self.cli("query", sql, "--output", "json"))
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row)) for row in answer["rows"]]

    def kill(self):
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
