"""Tracking, beside `mlflow server` on SQLite: both at full durability, both with eight clients."""

import concurrent.futures
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import lib
import ours
from lib import Figure, say

CLIENTS = 8
RUNS = 10_000
POINTS = 100_000
# The searches that fill the caches of both, and those that count.
WARM, SEARCHES = 3, 15
API = "/api/2.0/mlflow"
START = 1_700_000_000_000


class Mlflow(lib.Process):
    """`mlflow server` as its documentation starts it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mlflow-bench-"))
        port = lib.free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [pathlib.Path(sys.executable).parent / "mlflow", "server", "--port", port, "--backend-store-uri",
                   f"sqlite:///{self.folder}/mlflow.db", "--artifacts-destination", self.folder / "artifacts"]
        super().__init__(command, lib.answers(f"{self.url}/health"), cwd=self.folder, seconds=180)

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self, experiment):
        """Runs for the search, straight into its database: over HTTP they would take minutes."""
        import sqlalchemy
        from mlflow.store.tracking.dbmodels import models
        from sqlalchemy import orm

        rows = []
        for n in range(RUNS):
            run = uuid.UUID(int=n + 1, version=4).hex
            rows.append(models.SqlRun(
                run_uuid=run, name="bench", source_type="LOCAL", status="RUNNING", start_time=START + n, lifecycle_stage="active",
                experiment_id=int(experiment), artifact_uri=f"mlflow-artifacts:/{experiment}/{run}/artifacts", user_id="bench",
            ))
            loss = {"key": "loss", "value": (n * 7919 % RUNS) / RUNS, "timestamp": START, "step": 0, "is_nan": False, "run_uuid": run}
            rows += [models.SqlMetric(**loss), models.SqlLatestMetric(**loss), models.SqlParam(key="kind", value=str(n % 10), run_uuid=run)]
        engine = sqlalchemy.create_engine(f"sqlite:///{self.folder}/mlflow.db", connect_args={"timeout": 60})
        with orm.Session(engine) as session:
            for start in range(0, len(rows), 4000):
                session.add_all(rows[start : start + 4000])
                session.commit()


def call(server, path, document):
    """One call; as the mlflow client does, it tries again when the server says 503."""
    for wait in (0.1, 0.5, 2, 5):
        try:
            return json.loads(lib.post(f"{server.url}{API}/{path}", document)[0])
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(wait)
    return json.loads(lib.post(f"{server.url}{API}/{path}", document)[0])


def tracking(binary):
    columns = {}
    for name, start in (("mainspring", lambda: ours.Server(binary)), ("mlflow server", Mlflow)):
        say(f"tracking: {name}")
        with start() as server:
            columns[name] = measure(server, name)
    return table(columns)


def measure(server, name):
    idle = server.rss()
    experiment = call(server, "experiments/create", {"name": "load"})["experiment_id"]
    runs = lib.OUT / f"runs-{name.split()[0]}.txt"
    ids = [create(server, experiment, n) for n in range(16)]
    runs.write_text("\n".join(ids) + "\n")

    def rounds(kind):
        say(f"tracking: {name}, {kind}")
        all_ = [lib.wrk(server.url, "lua_track.lua", kind, runs, experiment, connections=CLIENTS) for _ in range(lib.ROUNDS)]
        failed = sum(r["failures"] for r in all_)
        if failed and not isinstance(server, Mlflow):
            raise RuntimeError(f"{failed} calls of {kind} failed")
        if failed:
            say(f"tracking: {failed} calls of {name} failed; they do not count")
        return [(r["requests"] - r["failures"]) / r["seconds"] for r in all_]

    result = {"start": [server.started_in], "idle": [idle / 1e6]}
    result["create"], result["batch"] = rounds("create"), rounds("batch")
    result["metrics"] = [rate * 1000 for rate in rounds("metrics")]
    result["search"] = search(server, name)
    result["history"] = history(server, name)
    result["rss"] = [server.rss() / 1e6]
    return result


def create(server, experiment, n, **more):
    run = call(server, "runs/create", {"experiment_id": experiment, "start_time": START + n, **more})
    return run["run"]["info"]["run_id"]


def search(server, name):
    """Filter and order over ten thousand runs, a page of a thousand."""
    say(f"tracking: {name}, making {RUNS:,} runs")
    experiment = call(server, "experiments/create", {"name": "search"})["experiment_id"]

    def make(n):
        run = create(server, experiment, n)
        metrics = [{"key": "loss", "value": (n * 7919 % RUNS) / RUNS, "timestamp": START, "step": 0}]
        call(server, "runs/log-batch", {"run_id": run, "metrics": metrics, "params": [{"key": "kind", "value": str(n % 10)}]})

    if isinstance(server, Mlflow):
        server.fill(experiment)
    else:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(make, range(RUNS)))
    query = {"experiment_ids": [experiment], "filter": "metrics.loss < 0.5 and params.kind = '3'", "order_by": ["metrics.loss DESC"], "max_results": 1000}
    times = []
    for _ in range(WARM + SEARCHES):
        body, seconds = lib.post(f"{server.url}{API}/runs/search", query)
        found = body.count(b'"run_id"')
        if found < 100:
            raise RuntimeError(f"the search found {found}")
        times.append(seconds)
    return times[WARM:]


def history(server, name):
    """All points of one metric, page by page."""
    say(f"tracking: {name}, a history of {POINTS:,} points")
    run = create(server, "0", 0)
    for start in range(0, POINTS, 1000):
        metrics = [{"key": "loss", "value": 1 / (n + 1), "timestamp": START + n, "step": n} for n in range(start, start + 1000)]
        call(server, "runs/log-batch", {"run_id": run, "metrics": metrics})
    times = []
    for _ in range(min(3, lib.ROUNDS)):
        began, points, token = time.perf_counter(), 0, None
        while True:
            query = {"run_id": run, "metric_key": "loss", "max_results": 25_000} | ({"page_token": token} if token else {})
            with urllib.request.urlopen(f"{server.url}{API}/metrics/get-history?{urllib.parse.urlencode(query)}", timeout=120) as answer:
                body = answer.read()
            points += body.count(b'"step"')
            found = re.search(rb'"next_page_token":\s*"([^"]+)"', body[-4000:] + body[:4000])
            token = found and json.loads(b'"' + found[1] + b'"')
            if not token:
                break
        if points != POINTS:
            raise RuntimeError(f"the history has {points} points")
        times.append(time.perf_counter() - began)
    return times


LINES = [
    ("run creation, a second", "create", False, 0),
    ("log-batch of 5 metrics and 5 parameters, a second", "batch", False, 0),
    ("metric points a second, 1,000 a batch", "metrics", False, 0),
    ("search with filter and order over 10,000 runs, s", "search", True, 4),
    ("history of 100,000 points, s", "history", True, 3),
    ("memory when started, MB", "idle", True, 0),
    ("memory after all this, MB", "rss", True, 0),
    ("start, s", "start", True, 2),
]


def table(columns):
    rows = [["", *columns, "ratio"]]
    for title, key, less_is_better, digits in LINES:
        both = [Figure.of(c[key]) for c in columns.values()]
        ratio = both[1].median / both[0].median if less_is_better else both[0].median / both[1].median
        rows.append([title, *[f.show(digits=digits) for f in both], f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.1f} ×"])
    return rows
