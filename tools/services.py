"""A private Postgres and a private S3 server for a run of the tests; they end with it."""

import contextlib
import glob
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUCKET = "mainspring-tests"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def newest(name):
    """Debian keeps the server's programs in a folder for each version."""
    found = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    return max(found, key=lambda path: int(re.search(r"/(\d+)/bin/", path)[1])) if found else shutil.which(name)


def wait_until(ready, process, what, log):
    until = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{what} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


@contextlib.contextmanager
def running(command, how=signal.SIGTERM, **more):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **more)
    try:
        yield process
    finally:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def postgres():
    """Yields the URL of a server without data; root runs it as the user postgres."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mainspring-pg-"))
    log, port, become = folder / "log", free_port(), []
    try:
        if os.geteuid() == 0:
            become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            folder.chmod(0o755)
            shutil.chown(folder, "postgres")
        options = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D", str(folder / "data")]
        subprocess.run([*become, newest("initdb"), *options], check=True, stdout=subprocess.DEVNULL, cwd="/")
        settings = ["-c", "fsync=off", "-c", "max_connections=300", "-c", "shared_buffers=64MB"]
        command = [*become, newest("postgres"), "-D", str(folder / "data"), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), *settings]
        url = f"postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        # SIGINT ends its connections and then the server.
        with log.open("wb") as out, running(command, signal.SIGINT, stdout=out, cwd="/") as process:
            asks = [newest("psql"), "--quiet", "--command", "SELECT 1", url]
            wait_until(lambda: subprocess.run(asks, capture_output=True).returncode == 0, process, "Postgres", log)
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def s3():
    """Yields the URL of a bucket on moto's server."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mainspring-s3-"))
    log, port = folder / "log", free_port()
    python = str(ROOT / ".venv" / "bin" / "python")
    endpoint = f"http://127.0.0.1:{port}"
    make = f"""
import boto3
boto3.client("s3", endpoint_url="{endpoint}", aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1").create_bucket(Bucket="{BUCKET}")
"""

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        with log.open("wb") as out, running([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=out) as process:
            wait_until(listens, process, "moto", log)
            subprocess.run([python, "-c", make], check=True)
            yield f"{endpoint}/{BUCKET}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
