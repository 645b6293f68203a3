#!/usr/bin/env python3
"""From a training run to a served, recorded prediction, on real data. `make demo` runs it.

Starts a Mainspring of its own on a fresh data folder, trains and registers models through the
`mlflow` client, deploys them, calls them with four kinds of client, promotes a second version under
load, sends the true labels back, and asks the journal which version was better.
"""

import argparse
import atexit
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LOAD = int(os.environ.get("DEMO_REQUESTS", "2000"))


class Server:
    """`mainspring up` on a data folder that goes away with the demo."""

    def __init__(self, binary, port):
        self.binary = os.path.abspath(binary)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mainspring-demo-"))
        self.log = self.folder / "server.log"
        port_file = self.folder / "port"
        # Settings of the machine's own must not change what the demo shows.
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
        library = next(iter(sorted((pathlib.Path(sys.prefix) / "lib").glob("python*/site-packages/onnxruntime/capi/libonnxruntime.so.*"))), None)
        command = [self.binary, "up", "--port", str(port), "--port-file", str(port_file), "--data", str(self.folder / "data")]
        # Models that are not ONNX run in this very Python, so that the demo builds no environment.
        command += ["--python", sys.executable]
        if library:
            command += ["--onnxruntime", str(library)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.env, cwd=self.folder, start_new_session=True)
        atexit.register(self.stop)
        until = time.monotonic() + 120
        while not (port_file.exists() and port_file.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit(f"the server did not start; it said:\n{self.log.read_text()}")
            time.sleep(0.01)
        self.port = int(port_file.read_text())
        self.base = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.base}"

    def cli(self, *words):
        """Run a client command; end the demo with its own words when it fails."""
        done = subprocess.run([self.binary, "--server", self.url, *words], capture_output=True, text=True, env=self.env, cwd=HERE)
        if done.returncode != 0:
            sys.exit(f"\n`mainspring {' '.join(words)}` failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def query(self, sql):
        """Rows as dictionaries."""
        answer = json.loads(self.cli("query", sql, "--output", "json"))
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row)) for row in answer["rows"]]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def pick_port(wanted):
    """8080 when nobody has it."""
    if wanted is not None:
        return wanted
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8080))
        except OSError:
            return 0
    return 8080


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="mainspring", help="the mainspring to show")
    parser.add_argument("--port", type=int, help="8080 when it is free, else any")
    parser.add_argument("--once", action="store_true", help="end after the last screen")
    args = parser.parse_args()
    binary = shutil.which(args.binary)
    if binary is None:
        sys.exit(f"{args.binary} is not there; `make demo` builds it")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Local calls must not go through a proxy.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    sys.path.insert(0, str(HERE))
    import screen
    import story

    print(screen.bold("Mainspring: from a training run to a served, recorded prediction"))
    began = time.monotonic()
    server = Server(binary, pick_port(args.port))
    try:
        story.tell(server, LOAD)
        print(screen.dim(f"\nall of this took {time.monotonic() - began:.0f} s"))
        if not args.once:
            print("The server stays up; Ctrl-C ends it and removes its data.")
            while server.process.poll() is None:
                time.sleep(0.2)
            sys.exit(f"the server ended by itself; it said:\n{server.log.read_text()[-2000:]}")
    except KeyboardInterrupt:
        print("\nstopping")
    server.stop()


if __name__ == "__main__":
    main()
