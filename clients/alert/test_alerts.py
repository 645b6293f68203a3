"""Objectives and alerts from a file to a receiver: real models, real requests, a receiver that checks signatures, a server
that is killed."""

import base64
import http.server
import json
import shutil
import subprocess
import threading
import time

import mlflow
import numpy
import pandas
import pytest
import requests
from mainspring_server import Mainspring
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from standard_webhooks import opened

PATIENCE = 240
KEY = base64.b64encode(b"a secret of 24 bytes ...").decode()
SECRET = {"MAINSPRING_SECRET_HOOK": f"whsec_{KEY}"}


def until(what, found):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


class Receiver:
    """An HTTP server that takes Standard Webhooks, or answers `status`."""

    def __init__(self):
        self.status, self.taken, self.tries = 200, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                notice = opened(self, KEY)
                outer.tries.append(notice)
                if outer.status == 200:
                    outer.taken.append(notice)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, kind):
        return [n for n in self.taken if n["type"] == kind]


@pytest.fixture
def receiver():
    running = Receiver()
    yield running
    running.server.shutdown()


def channel(receiver, **more):
    document = {
        "apiVersion": "mainspring/v1", "kind": "AlertChannel", "name": "hook", "groupWait": "0ms", "groupInterval": "0ms",
        "webhook": {"url": receiver.url, "secret": {"env": "MAINSPRING_SECRET_HOOK"}},
    }
    return json.dumps(document | more)


def deployed(server, name, signature=None, **slo):
    x, y = load_iris(return_X_y=True)
    x = x.astype(numpy.float32)
    graph = to_onnx(LogisticRegression(max_iter=500).fit(x, y), x[:1], options={"zipmap": False}, target_opset=17)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("alerts")
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", signature=signature or infer_signature(x[:5]), registered_model_name="iris", pip_requirements=["onnxruntime"])
    server.deploy(name, "models:/iris/1", slo=slo)


def ask(server, name, times):
    body = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}
    with requests.Session() as session:
        for _ in range(times):
            session.post(f"{server.url}/v2/models/{name}/infer", json=body).raise_for_status()


def slos(server):
    return {s["objective"]: s for s in json.loads(server.cli("alert", "slo", "--output", "json"))["slos"]}


def gauge(server, series):
    """What the page of metrics has of a series; `None` when it is not there."""
    found = [line for line in requests.get(f"{server.url}/metrics").text.splitlines() if line.startswith(f"{series} ")]
    return float(found[0].rsplit(" ", 1)[1]) if found else None


def test_a_broken_promise_is_told_and_survives_a_kill(start, receiver, tmp_path):
    data = tmp_path / "data"
    server = start("--alerts-reach", "anywhere", "--public-url", "https://ml.example.com", data=data, env=SECRET)
    # No request is so quick: all of them are bad, a hundred times what is allowed. With fewer nothing is said yet, however
    # long they take and whenever somebody looks.
    deployed(server, "slow", p99="1us", availability="99%", minimum=40, runbook="https://wiki.example.com/slow")
    receiver.status = 503
    server.apply(channel(receiver, severity="page"))
    ask(server, "slow", 40)
    tried = until("the notice is tried", lambda: receiver.tries)[0]
    assert tried["type"] == "alert.firing"
    # The receiver does not take it, and the server dies.
    server.kill()
    receiver.status = 200
    again = start("--alerts-reach", "anywhere", "--public-url", "https://ml.example.com", data=data, env=SECRET)
    until("it is taken after the restart", lambda: receiver.of("alert.firing"))
    taken = receiver.of("alert.firing")
    assert [n["id"] for n in taken] == [tried["id"]], "the same notice, once"
    alert = taken[0]["data"]["alerts"][0]
    assert alert["labels"] == {"deployment": "slow", "objective": "p99"}
    assert alert["severity"] == "page" and alert["runbook"] == "https://wiki.example.com/slow"
    assert alert["link"] == "https://ml.example.com/ui/deployments/slow"
    assert "40 of 40 requests took longer than 0.001 ms in 1h, 100.0 times what 99 % allows" in alert["summary"]
    # The query that comes with it shows the requests.
    rows = again.query(alert["query"])
    assert sum(r["requests"] for r in rows) == 40 and sum(r["slow"] for r in rows) == 40
    # The budget was not forgotten.
    now = slos(again)
    assert now["p99"]["budgetLeft"] == pytest.approx(-99) and now["p99"]["severity"] == "page"
    assert now["availability"]["budgetLeft"] == 1 and now["availability"]["windows"][-1]["requests"] == 40
    metrics = requests.get(f"{again.url}/metrics").text
    assert 'mainspring_slo_budget_left{deployment="slow",objective="availability"} 1' in metrics
    hour = 'mainspring_slo_burn_rate{deployment="slow",objective="p99",window_seconds="3600"} '
    assert float(metrics.split(hour)[1].split()[0]) == pytest.approx(100)
    until("the alerts are counted", lambda: gauge(again, 'mainspring_alerts_firing{severity="page",source="slo"}') == 1)
    assert gauge(again, 'mainspring_alerts_firing{severity="ticket",source="slo"}') == 1
    assert gauge(again, 'mainspring_alerts_firing{severity="page",source="drift"}') == 0
    # The journal heard of it, once.
    said = lambda: again.query("SELECT decision, deployment, numbers FROM decisions WHERE decided_by LIKE 'Alert/%' ORDER BY at")
    until("the journal heard of both severities", lambda: len(said()) == 2)
    assert {(r["decision"], r["deployment"]) for r in said()} == {("raised", "slow")}
    listed = json.loads(again.cli("alert", "list", "--output", "json"))["alerts"]
    assert {(a["phase"], a["severity"]) for a in listed} == {("firing", "page"), ("firing", "ticket")}
    assert "took longer than" in again.cli("alert", "list")
    status = json.loads(again.cli("get", "alertchannel", "hook", "--output", "json"))
    assert "whsec" not in json.dumps(status) and KEY not in again.log.read_text(errors="replace")


def test_silences_tests_and_refusals(start, receiver):
    server = start("--alerts-reach", "anywhere", env=SECRET)
    done = server.cli("alert", "test", "nobody", check=False)
    assert done.returncode == 1 and "there is no alert channel" in done.stderr
    server.apply(channel(receiver))
    assert "took a test notice" in server.cli("alert", "test", "hook")
    assert receiver.of("alert.test")[0]["data"]["alerts"][0]["summary"].startswith("a test of the channel hook")
    receiver.status = 500
    done = server.cli("alert", "test", "hook", check=False)
    assert done.returncode == 3 and "it answered 500" in done.stderr, done.stderr
    receiver.status = 200
    # A secret that is not there.
    server.apply(channel(receiver, name="open", webhook={"url": receiver.url, "secret": {"env": "MAINSPRING_SECRET_NONE"}}))
    done = server.cli("alert", "test", "open", check=False)
    assert done.returncode == 2 and "MAINSPRING_SECRET_NONE is not set" in done.stderr
    for wrong in ({"env": "PATH"}, {"file": "../../etc/passwd"}):
        refused = server.cli("apply", "-f", "-", check=False, stdin=channel(receiver, name="wrong", webhook={"url": receiver.url, "secret": wrong}))
        assert refused.returncode == 2 and "webhook.secret" in refused.stderr, refused.stderr
    server.cli("alert", "silence", "deployment=quiet", "--for", "1h", "--reason", "being mended")
    assert "being mended" in server.cli("alert", "silences")
    deployed(server, "quiet", p99="1us")
    ask(server, "quiet", 40)
    until("the alert is there, silenced", lambda: any(a.get("silencedBy") for a in json.loads(server.cli("alert", "list", "--output", "json"))["alerts"]))
    silence = json.loads(server.cli("alert", "silences", "--output", "json"))["silences"][0]["id"]
    assert not receiver.of("alert.firing")
    server.cli("alert", "unsilence", silence)
    until("it is told once nobody silences it", lambda: receiver.of("alert.firing"))


def test_inside_addresses_are_not_reached_by_default(start, receiver):
    server = start(env=SECRET)
    server.apply(channel(receiver))
    done = server.cli("alert", "test", "hook", check=False)
    assert done.returncode == 3 and "not a public address" in done.stderr, done.stderr
    assert not receiver.tries


def test_drift_is_on_the_page_of_metrics(start, tmp_path):
    server = start()
    frame = pandas.concat([load_iris(as_frame=True).data.astype("float32")] * 4, ignore_index=True)
    frame.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    deployed(server, "watched", signature=infer_signature(frame), availability="99%")
    frame.to_parquet(tmp_path / "train.parquet")
    server.cli("profile", tmp_path / "train.parquet", "--version", "iris/1")
    monitor = {"apiVersion": "mainspring/v1", "kind": "Monitor", "name": "petals", "deployment": "watched", "columns": ["in.*"],
               "every": "5s", "minRows": 100, "severity": "critical"}
    server.apply(json.dumps(monitor))
    of = 'monitor="petals",deployment="watched"'
    drifting = lambda: gauge(server, f'mainspring_monitor_drifting{{{of},severity="page"}}')
    until("somebody watches", lambda: drifting() == 0)
    # Another unit, in one column.
    moved = frame.assign(petal_length=frame["petal_length"] * numpy.float32(2.54))
    answer = requests.post(f"{server.url}/deployments/watched/invocations", json={"dataframe_split": moved.to_dict("split")})
    assert answer.status_code == 200, answer.text
    until("the drift is seen", lambda: drifting() == 1)
    assert gauge(server, f"mainspring_monitor_drifted_columns{{{of}}}") == 1
    assert gauge(server, f"mainspring_monitor_stopped{{{of}}}") == 0
    until("all rows are looked at", lambda: gauge(server, f"mainspring_monitor_rows_seen_total{{{of}}}") == len(moved))
    assert 100 <= gauge(server, f"mainspring_monitor_rows_sampled_total{{{of}}}") <= len(moved)
    distance = lambda column: gauge(server, f'mainspring_monitor_column_distance{{{of},column="in.{column}"}}')
    assert distance("petal_length") > 0.3 and distance("sepal_width") < 0.1
    until("it is an alert", lambda: gauge(server, 'mainspring_alerts_firing{severity="page",source="drift"}') == 1)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """What the server writes for Prometheus, of objectives of each kind."""
    server = Mainspring()
    try:
        deployed(server, "ruled", availability="99.9%", p99="1s", p90="50us", p50="1us")
        until("the objectives are known", lambda: len(slos(server)) == 4)
        file = tmp_path_factory.mktemp("rules") / "rules.yaml"
        file.write_text(server.cli("alert", "rules"))
    finally:
        server.stop()
    return file


@pytest.fixture(scope="module")
def promtool():
    return shutil.which("promtool") or pytest.skip("promtool is not installed (apt: prometheus)")


def test_each_objective_has_its_rules(rules):
    text = rules.read_text()
    assert "ruled p50: the shortest duration bucket is longer" in text
    assert (text.count("- record:"), text.count("- alert:")) == (3 * 7, 3 * 4 + 3)


def test_the_rules_for_prometheus_pass_its_own_check(rules, promtool):
    checked = subprocess.run([promtool, "check", "rules", str(rules)], capture_output=True, text=True)
    assert checked.returncode == 0 and "36 rules found" in checked.stdout, checked.stdout + checked.stderr


# Three days of samples, one a minute: `0+100x4320` is a hundred requests a minute.
MINUTES = 3 * 24 * 60
BUSY = f"0+100x{MINUTES}"
# By the long window of a rule: how severe it is, how many times too fast, and the short window.
BURNS = {"1h": ("page", "14.4", "5m"), "6h": ("page", "6", "30m"), "1d": ("ticket", "3", "2h"), "3d": ("ticket", "1", "6h")}


def outcomes(**values):
    """Requests by outcome."""
    return {f'mainspring_inference_requests_total{{deployment="ruled",version="1",outcome="{of}"}}': each for of, each in values.items()}


def answers(bound, within):
    """Answers of a busy deployment, and those of them that came within a bucket's bound."""
    name = "mainspring_inference_duration_seconds"
    return {f'{name}_bucket{{deployment="ruled",version="1",le="{bound}"}}': within, f'{name}_count{{deployment="ruled",version="1"}}': BUSY}


def drifting(values, of_another):
    """A monitor, as two servers tell of it."""
    series = 'mainspring_monitor_drifting{{deployment="ruled",monitor="ages",severity="page",instance="{}"}}'
    return {series.format("a"): values, series.format("b"): of_another}


def burns(objective, target, *longs):
    """The alerts of an objective, by their long windows."""
    alerts = []
    for long in longs:
        severity, factor, short = BURNS[long]
        labels = {"severity": severity, "deployment": "ruled", "objective": objective, "long": long}
        summary = f"ruled uses its budget for {objective} {factor} times too fast ({long} and {short}; objective {target})"
        alerts.append({"exp_labels": labels, "exp_annotations": {"summary": summary}})
    return alerts


CASES = {
    "a fast burn pages": (outcomes(ok=BUSY, internal=f"0x{MINUTES - 10} 15+15x9"), burns("availability", "99.9 %", "1h")),
    "a slow one tickets": (outcomes(ok=BUSY, internal=f"0+0.2x{MINUTES}"), burns("availability", "99.9 %", "3d")),
    "what the budget allows is no alert": (outcomes(ok=BUSY, internal=f"0+0.05x{MINUTES}"), []),
    "what the caller did wrong is none": (outcomes(ok=BUSY, invalid_input=BUSY), []),
    "one failure at night is none": (outcomes(ok=f"0x{MINUTES}", internal=f"0x{MINUTES - 3} 1x2"), []),
    "fifteen of fifteen are none": (outcomes(ok=f"0x{MINUTES}", internal=f"0x{MINUTES - 60} 0.25+0.25x59"), []),
    "requests of callers do not make them enough": (
        outcomes(ok=f"0x{MINUTES}", internal=f"0x{MINUTES - 60} 0.25+0.25x59", invalid_input=BUSY), []),
    "thirty of thirty are enough": (
        outcomes(ok=f"0x{MINUTES}", internal=f"0x{MINUTES - 60} 0.5+0.5x59"), burns("availability", "99.9 %", *BURNS)),
    # Bounds as the server writes them, and as Prometheus keeps them since version 3.
    **{f"late answers ticket, of the bound {le}": (answers(le, f"0+95x{MINUTES}"), burns("p99", "99 %", "1d", "3d")) for le in ("1", "1.0")},
    **{f"late answers ticket, of the bound {le}": (answers(le, f"0+50x{MINUTES}"), burns("p90", "90 %", "1d", "3d")) for le in ("0.00005", "5e-05")},
}


def checked(promtool, folder, rules, case):
    """Prometheus' own unit test of the rules."""
    file = folder / "test.json"
    # No rule waits, so that a look a day is enough; each is at samples of a minute.
    file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1d", "tests": [case]}))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_prometheus_alerts_as_the_server_does(rules, promtool, tmp_path, name):
    series, expected = CASES[name]
    checked(promtool, tmp_path, rules, {
        "interval": "1m", "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "alert_rule_test": [{"eval_time": "3d", "alertname": "MainspringSloBurn", "exp_alerts": expected}],
    })


@pytest.mark.parametrize(("values", "of_another", "fires"), [("0x10", "0x10", False), ("0x8 1x1", "0x9 1", True)])
def test_a_monitor_that_drifts_alerts_once_and_as_severely_as_it_says(rules, promtool, tmp_path, values, of_another, fires):
    summary = "ages: what ruled is asked or answers has drifted; `mainspring monitor why ages` says which columns, and since when"
    alert = {"exp_labels": {"deployment": "ruled", "monitor": "ages", "severity": "page"}, "exp_annotations": {"summary": summary}}
    checked(promtool, tmp_path, rules, {
        "interval": "1d", "input_series": [{"series": each, "values": all_of_it} for each, all_of_it in drifting(values, of_another).items()],
        "alert_rule_test": [{"eval_time": "10d", "alertname": "MainspringDrift", "exp_alerts": [alert] if fires else []}],
    })
