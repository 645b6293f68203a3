"""What every example needs around its story: a Mainspring of its own, the command line, a clean end."""

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

import screen


class Server:
    """`mainspring up` on a data folder that goes away with the example. Commands run in the example's folder."""

    def __init__(self, binary, port, home, settings):
        self.binary, self.home = os.path.abspath(binary), home
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"mainspring-{home.name}-"))
        self.log = self.folder / "server.log"
        port_file = self.folder / "port"
        # Settings of the machine's own must not change what the example shows.
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")} | settings
        library = next(iter(sorted((pathlib.Path(sys.prefix) / "lib").glob("python*/site-packages/onnxruntime/capi/libonnxruntime.so.*"))), None)
        command = [self.binary, "up", "--port", str(port), "--port-file", str(port_file), "--data", str(self.folder / "data")]
        # Models that are not ONNX run in this very Python, so that the example builds no environment.
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
        """Run a client command; end the example with its own words when it fails."""
        done = subprocess.run([self.binary, "--server", self.url, *words], capture_output=True, text=True, env=self.env, cwd=self.home)
        if done.returncode != 0:
            sys.exit(f"\n`mainspring {' '.join(words)}` failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *words):
        """What a client command says to scripts."""
        return json.loads(self.cli(*words, "--output", "json"))

    def query(self, sql):
        """Rows as dictionaries."""
        answer = self.json("query", " ".join(sql.split()))
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


def run(title, doc, home, tell, settings=None):
    """Start a server with these variables of its environment, let `tell` show what there is to see on it, and keep it until
    Ctrl-C."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="mainspring", help="the mainspring to show")
    parser.add_argument("--port", type=int, help="8080 when it is free, else any")
    parser.add_argument("--once", action="store_true", help="end after the last screen")
    args = parser.parse_args()
    binary = shutil.which(args.binary)
    if binary is None:
        sys.exit(f"{args.binary} is not there; `make build` builds one and says where it is")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Local calls must not go through a proxy.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    print(screen.bold(title))
    began = time.monotonic()
    server = Server(binary, pick_port(args.port), home, settings or {})
    try:
        tell(server)
        print(screen.dim(f"\nall of this took {time.monotonic() - began:.0f} s"))
        if not args.once:
            print("The server stays up; Ctrl-C ends it and removes its data.")
            while server.process.poll() is None:
                time.sleep(0.2)
            sys.exit(f"the server ended by itself; it said:\n{server.log.read_text()[-2000:]}")
    except KeyboardInterrupt:
        print("\nstopping")
    server.stop()
