"""Processes, load and figures, shared by the parts of the bench."""

import dataclasses
import hashlib
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = HERE / "out"
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mainspring" / "bench"


def say(text):
    print(f"bench: {text}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**more):
    """Without settings of the machine's own, and without a proxy in the way of loopback."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    env["ORT_DISABLE_TELEMETRY"] = "1"
    env["NO_PROXY"] = env["no_proxy"] = "127.0.0.1,localhost"
    return env | more


class Process:
    """Something that listens; ends with the block."""

    def __init__(self, command, ready, cwd=None, seconds=120, **env):
        self.log = tempfile.TemporaryFile()
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=cwd,
            env=environment(**env), start_new_session=True,
        )
        while not ready():
            if self.process.poll() is not None or time.monotonic() - self.began > seconds:
                self.log.seek(0)
                sys.stderr.write(self.log.read().decode(errors="replace")[-4000:])
                self.stop()
                raise RuntimeError(f"did not start: {' '.join(map(str, command))}")
            time.sleep(0.005)
        self.started_in = time.monotonic() - self.began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        # The whole session: gunicorn's and MLServer's workers too.
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, how)
            except ProcessLookupError:
                break
            try:
                self.process.wait(10)
                break
            except subprocess.TimeoutExpired:
                continue

    def family(self):
        """`/proc/PID/stat` of the process and all below it, from the third field on, by process."""
        fields, children = {}, {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                found = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            pid = int(stat.parent.name)
            fields[pid] = found
            children.setdefault(int(found[1]), []).append(pid)
        mine, open_ = {}, [self.process.pid]
        while open_:
            pid = open_.pop()
            open_ += children.get(pid, [])
            if pid in fields:
                mine[pid] = fields[pid]
        return mine

    def rss(self):
        """Resident bytes of the process and all below it."""
        return sum(int(fields[21]) for fields in self.family().values()) * os.sysconf("SC_PAGE_SIZE")

    def mapped(self):
        """Those of the process itself that are pages of files: the kernel keeps them once for all, and can drop them."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile:"))

    def cpu(self):
        """Seconds of CPU that the process has used, and those of all below it."""
        spent = {pid: (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") for pid, fields in self.family().items()}
        own = spent.pop(self.process.pid, 0.0)
        return own, sum(spent.values())


def answers(url):
    """Whether a GET of `url` answers 2xx, as a function."""
    def ready():
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status < 300
        except OSError:
            return False
    return ready


def post(url, document, timeout=120):
    """The answer's bytes, and how long they took."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {"content-type": "application/json"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read(), time.perf_counter() - began


def wrk(url, script, *arguments, connections, seconds=None):
    """One round of wrk with one thread; times in microseconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds or SECONDS))}s", "--timeout", "30s", "-s", str(HERE / script), url, "--"]
    done = subprocess.run(command + [str(a) for a in arguments], capture_output=True, text=True)
    line = next((line for line in done.stdout.splitlines() if line.startswith("JSON ")), None)
    if line is None:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    figures = json.loads(line[5:])
    figures["rps"] = figures["requests"] / figures["seconds"]
    return figures


@dataclasses.dataclass
class Figure:
    """Median of some rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values):
        values = list(values)
        return Figure(statistics.median(values), min(values), max(values))

    def show(self, unit="", digits=0):
        return f"{self.median:,.{digits}f}{unit} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


def alternate(subjects, rounds=ROUNDS):
    """Round by round through all subjects, so that what else the machine does hits all of them alike.

    `subjects` maps a name to a function that makes one round; the answer maps it to its rounds.
    """
    results = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, one in subjects.items():
            results[name].append(one())
    return results


def figures(rounds):
    """Figures of the rounds of one subject; a failed request ends the bench: it would be measured as fast."""
    failed = sum(r["failures"] for r in rounds)
    if failed:
        raise RuntimeError(f"{failed} requests failed")
    return {key: Figure.of(r[key] for r in rounds) for key in ("rps", "p50", "p99")}


def venv(name):
    """A peer's own environment, kept outside the clone by the hash of its lock file."""
    lock = ROOT / "requirements" / f"bench-{name}.lock"
    folder = CACHE / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    done = folder / ".complete"
    if not done.exists():
        say(f"installing {lock.name}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)], check=True)
        done.touch()
    return folder / "bin"


def version_of(package, python=sys.executable):
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True).stdout.strip()
