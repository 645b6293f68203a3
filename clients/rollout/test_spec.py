"""What a rollout's file may say: tests and error rates of metrics, and versions that nothing may take any more, with MLflow's own
client on the other side."""

import base64
import http.server
import json
import threading
import time

import mlflow
import pytest
import requests
from mlflow.exceptions import MlflowException
from standard_webhooks import opened
from test_rollouts import PATIENCE, Traffic, begin, declared, decisions, deployed, lumps, models, until, view

__all__ = ["models"]

LONG = [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}]


def eventually(condition):
    """Waits until it holds, and fails where it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_group_sequential_test_decides_at_a_look_and_replays(server, models):
    deployed(server, "looked")
    steps = [{"abTest": {"weight": 50, "minExposures": 100, "minDuration": "1s", "maxDuration": "1h"}}]
    metrics = {
        "guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.05, "test": "betting", "alpha": 0.02}],
        "success": [{"name": "correct", "kind": "mean", "source": "label:correct", "test": "groupSequential", "maxUnits": 1200, "looks": 4}],
    }
    with Traffic(server, "looked", models):
        begin(server, declared("looked", 2, steps, metrics=metrics))
        until(server, "looked-v2", "succeeded", "promoting", "watching")
    promoted = next(d for d in decisions(server, "looked-v2") if d["kind"] == "promoted")
    tested = {m["name"]: m["tested"] for m in promoted["metrics"] if "tested" in m}
    looks = tested["correct"]["looks"]
    assert tested["errors"]["test"] == "betting" and tested["errors"]["alpha"] == 0.02
    assert looks["of"] == 4 and looks["better"]["z"] >= looks["better"]["bound"] and f"at look {looks['due']} of 4" in promoted["sentence"]
    replayed = json.loads(server.cli("rollout", "replay", "looked-v2", "--output", "json"))
    assert replayed.get("diverged") is None and replayed["numbers"] == [], replayed


def test_a_test_that_does_not_fit_is_refused_with_those_that_do(server, models):
    deployed(server, "misfit")
    metrics = {"guardrails": [{"name": "errors", "kind": "errors", "test": "msprt"}]}
    refused = server.cli("rollout", "start", "-f", "-", stdin=declared("misfit", 2, LONG, metrics=metrics), check=False)
    assert refused.returncode != 0 and "msprt does not fit kind errors; what does: rateRatio, betting" in refused.stderr


def test_what_a_rollout_took_out_nobody_may_take_until_a_person_says_so(server, models):
    deployed(server, "frozen")
    metrics = {"guardrails": [{"name": "correct", "kind": "mean", "source": "label:correct", "nonInferiority": 0.02}]}
    client = mlflow.MlflowClient()
    with Traffic(server, "frozen", models):
        begin(server, declared("frozen", 3, LONG, metrics=metrics, rollback={"freezeVersion": True}))
        until(server, "frozen-v3", "rolledBack")
    back = next(d for d in decisions(server, "frozen-v3") if d["kind"] == "rolledBack")
    assert back["sentence"].endswith("frozen until a person ends that: models:/lump/3")
    try:
        eventually(lambda: "frozen-v3" in client.get_model_version("lump", "3").tags.get("mainspring.frozen", ""))
        assert "is frozen since" in view(server, "frozen-v3")["variants"][1]["frozen"]
        for refused in (
            lambda: client.set_registered_model_alias("lump", "frozen", "3"),
            lambda: client.transition_model_version_stage("lump", "3", "Production"),
        ):
            with pytest.raises(MlflowException) as error:
                refused()
            assert error.value.error_code == "RESOURCE_CONFLICT" and "mainspring model unfreeze lump/3" in str(error.value)
        for tag in (lambda: client.delete_model_version_tag("lump", "3", "mainspring.frozen"), lambda: client.set_model_version_tag("lump", "2", "mainspring.frozen", "x")):
            with pytest.raises(MlflowException) as error:
                tag()
            assert error.value.error_code == "INVALID_PARAMETER_VALUE"
        assert client.get_model_version_by_alias("lump", "frozen").version == "1"
        # It is still read, and nothing new may begin with it.
        assert mlflow.pyfunc.load_model("models:/lump/3") is not None
        document = {"apiVersion": "mainspring/v1", "kind": "Deployment", "name": "frozen-other", "model": "models:/lump/3"}
        deployment = server.cli("apply", "-f", "-", stdin=json.dumps(document), check=False)
        assert deployment.returncode != 0 and "is frozen since" in deployment.stderr
        rollout = server.cli("rollout", "start", "-f", "-", stdin=declared("frozen", 3, LONG), check=False)
        assert rollout.returncode != 0 and "candidates[0].model" in rollout.stderr
    finally:
        assert "may be taken again" in server.cli("model", "unfreeze", "lump/3")
    client.set_registered_model_alias("lump", "frozen", "3")
    client.set_registered_model_alias("lump", "frozen", "1")


def test_a_person_freezes_what_a_rollout_brings_in(server, models):
    deployed(server, "stopped")
    begin(server, declared("stopped", 2, LONG))
    until(server, "stopped-v2", "step")
    server.cli("model", "freeze", "lump/2", "--reason", "wrong for the young")
    try:
        until(server, "stopped-v2", "rolledBack")
        back = next(d for d in decisions(server, "stopped-v2") if d["kind"] == "rolledBack")
        assert back["because"] == ["frozen"] and "wrong for the young" in back["sentence"]
    finally:
        server.cli("model", "unfreeze", "lump/2")


@pytest.mark.parametrize("by_alias", [True, False])
def test_a_rollback_goes_back_to_a_stable_version_that_was_frozen_meanwhile(server, models, by_alias):
    name = "back-by-alias" if by_alias else "back-by-number"
    client = mlflow.MlflowClient()
    if by_alias:
        deployed(server, name)
    else:
        server.deploy(name, "models:/lump/1")
    begin(server, declared(name, 2, LONG, rollback={"window": "1h"}))
    until(server, f"{name}-v2", "step")
    server.cli("rollout", "promote", f"{name}-v2")
    until(server, f"{name}-v2", "watching")
    server.cli("model", "freeze", "lump/1", "--reason", "wrong for the young")
    try:
        # A person may not take it, neither by alias nor by what means it.
        with pytest.raises(MlflowException):
            client.set_registered_model_alias("lump", "somewhere-else", "1")
        server.cli("rollout", "abort", f"{name}-v2")
        until(server, f"{name}-v2", "rolledBack")
        declares = lambda: json.loads(server.cli("get", "deployment", name, "--output", "json"))
        if by_alias:
            eventually(lambda: client.get_model_version_by_alias("lump", name).version == "1")
            audit = requests.get(f"{server.url}/api/v1/audit").json()["entries"]
            assert [e["subject"] for e in audit if e["action"] == "model-alias.return"] == ["system"]
        else:
            eventually(lambda: "models:/lump/1" in json.dumps(declares()))
        assert "is frozen since" in view(server, f"{name}-v2")["variants"][0]["frozen"]
    finally:
        server.cli("model", "unfreeze", "lump/1")


def test_a_frozen_version_is_refused_by_its_stage_and_as_the_latest(server, models):
    client = mlflow.MlflowClient()
    newest = max(int(v.version) for v in client.search_model_versions("name = 'lump'"))
    client.transition_model_version_stage("lump", str(newest), "Production")
    server.cli("model", "freeze", f"lump/{newest}", "--reason", "wrong for the old")
    try:
        for suffix in ("Production", "latest"):
            document = {"apiVersion": "mainspring/v1", "kind": "Deployment", "name": "frozen-suffix", "model": f"models:/lump/{suffix}"}
            refused = server.cli("apply", "-f", "-", stdin=json.dumps(document), check=False)
            assert refused.returncode != 0 and f"mainspring model unfreeze lump/{newest}" in refused.stderr, refused.stderr
    finally:
        server.cli("model", "unfreeze", f"lump/{newest}")
        client.transition_model_version_stage("lump", str(newest), "None")


@pytest.mark.parametrize("suffix", ["latest", "Staging"])
def test_a_deletion_brings_no_frozen_version_back(server, models, suffix):
    client, name = mlflow.MlflowClient(), f"gone-{suffix.lower()}"
    for version in ("1", "2"):
        mlflow.register_model(client.get_model_version("lump", version).source, name)
        client.transition_model_version_stage(name, version, "Staging")
    server.deploy(name, f"models:/{name}/{suffix}")
    shown = lambda: json.loads(server.cli("get", "deployment", name, "--output", "json"))["status"]
    answers = lambda: requests.get(f"{server.url}/v2/models/{name}").json()["versions"]
    eventually(lambda: shown()["state"] == "READY")
    assert answers() == ["2"]
    server.cli("model", "freeze", f"{name}/1", "--reason", "wrong for the old")
    client.delete_model_version(name, "2")
    eventually(lambda: "goes on" in (shown()["reason"] or ""))
    assert f"mainspring model unfreeze {name}/1" in shown()["reason"]
    assert answers() == ["2"] and shown()["state"] == "READY", "nobody chose the frozen one"
    server.cli("model", "unfreeze", f"{name}/1")
    eventually(lambda: answers() == ["1"])
    server.cli("delete", "deployment", name)


def test_what_is_only_reported_is_shown_and_a_check_may_warn(server, models):
    deployed(server, "told")
    metrics = {
        "guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.05}],
        "report": [{"name": "p90", "kind": "quantile", "source": "latency", "q": 0.9}, {"name": "correct", "kind": "mean", "source": "label:correct"}],
        "quality": {"noData": {"after": "1s", "onFail": "warn"}},
    }
    # Version 3 is wrong in most of its answers, and nothing here decides by that.
    begin(server, declared("told", 3, LONG, metrics=metrics))
    until(server, "told-v3", "step")
    warned = lambda: [d for d in decisions(server, "told-v3") if d["kind"] == "warned"]
    eventually(warned)
    assert [d["because"] for d in warned()] == [["noData"]], decisions(server, "told-v3")
    known = lambda: {m["name"]: m for m in view(server, "told-v3")["metrics"]}
    with Traffic(server, "told", models):
        eventually(lambda: known().get("correct", {}).get("finding") == "worse")
    shown = known()
    assert shown["correct"]["role"] == "reported" and shown["correct"]["finding"] == "worse" and shown["correct"]["effect"]["high"] < 0
    assert shown["p90"]["role"] == "reported" and not shown["p90"]["required"]
    assert view(server, "told-v3")["phase"] == "step", "what is only reported decides nothing"
    server.cli("rollout", "abort", "told-v3")


KEY = base64.b64encode(b"a secret of 24 bytes ...").decode()
SECRET = {"MAINSPRING_SECRET_GATE": f"whsec_{KEY}"}


class Gates:
    """Webhooks that check who asks, and answer what `says` has for each: a status and a text, or nothing at all."""

    def __init__(self):
        self.says, self.asked, self.over = {}, [], threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                question = opened(self, KEY)
                outer.asked.append(question)
                said = outer.says[question["data"]["webhook"]]
                if said is None:
                    outer.over.wait()
                    return
                self.send_response(said[0])
                self.end_headers()
                self.wfile.write(said[1].encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def webhook(self, name):
        self.says[name] = (503, "")
        url = f"http://127.0.0.1:{self.server.server_port}/{name}"
        return {"name": name, "url": url, "secret": {"env": "MAINSPRING_SECRET_GATE"}, "timeout": "1s"}

    def of(self, name):
        return [q for q in self.asked if q["data"]["webhook"] == name]


@pytest.fixture
def gates():
    running, tracking = Gates(), mlflow.get_tracking_uri()
    yield running
    running.over.set()
    running.server.shutdown()
    mlflow.set_tracking_uri(tracking)


def test_a_rollout_waits_for_webhooks_that_refuse_hang_and_agree(start, gates, tmp_path):
    flags = dict(data=tmp_path / "data", env=SECRET)
    server = start("--alerts-reach", "anywhere", **flags)
    rows = lumps(server)
    deployed(server, "gated")
    steps = [{"canary": {"weight": 50, "minExposures": 20, "minDuration": "1s"}}]
    more = {"preflight": {"webhooks": [gates.webhook("tests")]}, "approvals": [{"before": "promotion", "webhook": gates.webhook("board")}]}
    held = lambda of: (view(of, "gated-v2").get("hold") or {}).get("reason")
    # It refuses, and says why in its first line.
    gates.says["tests"] = (403, f"3 tests are red, whsec_{KEY}\nand a second line")
    gates.says["board"] = (409, "not before Monday")
    with Traffic(server, "gated", rows) as traffic:
        begin(server, declared("gated", 2, steps, **more))
        eventually(lambda: held(server) == "webhook tests answered 403: 3 tests are red, ***")
        assert "3 tests are red" in server.cli("rollout", "status", "gated-v2")
        # It hangs.
        gates.says["tests"] = None
        eventually(lambda: held(server) == "webhook tests did not answer within 1s")
        shown = view(server, "gated-v2")
        assert shown["phase"] == "preflight" and shown["hold"]["cause"] == "webhook" and shown["orders"] == ["abort"]
        assert set().union(*traffic.seen.values()) <= {"stable", None}, "nobody got an answer of the candidate"
        # It agrees.
        gates.says["tests"] = (204, "")
        until(server, "gated-v2", "approval")
        eventually(lambda: held(server) == "webhook board answered 409: not before Monday")
    first, last = gates.of("tests")[0]["data"], gates.of("board")[-1]
    assert first["before"] == "preflight" and [c["name"] for c in first["checks"]] == ["signature"]
    assert last["type"] == "rollout.gate" and last["data"]["before"] == "promotion" and last["data"]["promotes"] == "v2"
    assert [(v["name"], v["weight"]) for v in last["data"]["variants"]] == [("stable", 0.5), ("v2", 0.5)]
    assert last["data"]["variants"][1]["units"] >= 20
    assert len({q["id"] for q in gates.asked}) == len(gates.asked)
    for order in ("promote", "approve", "skip"):
        refused = server.cli("rollout", order, "gated-v2", check=False)
        assert refused.returncode != 0, f"{order}: {refused.stdout}"
    # Who asks dies; who comes after asks anew, and does not go past it.
    server.kill()
    asked = len(gates.of("board"))
    again = start("--alerts-reach", "anywhere", **flags)
    eventually(lambda: len(gates.of("board")) > asked)
    assert view(again, "gated-v2")["phase"] == "approval"
    gates.says["board"] = (200, "ticket 42")
    until(again, "gated-v2", "succeeded")
    log = decisions(again, "gated-v2")
    promoted = next(d for d in log if d["kind"] == "promoted")
    assert promoted["sentence"] == "promoted: webhook board agreed" and promoted["by"] == "controller"
    assert [(c["name"], c["passed"], c["detail"]) for c in promoted["checks"]] == [("webhook:board", True, "answered 200: ticket 42")]
    over = len(gates.asked)
    replayed = json.loads(again.cli("rollout", "replay", "gated-v2", "--output", "json"))
    assert replayed.get("diverged") is None and replayed["same"] == len(log), replayed
    assert len(gates.asked) == over, "a replay asks nobody"
    assert KEY not in json.dumps(log) and KEY not in server.log.read_text() and KEY not in again.log.read_text()


def test_a_webhook_inside_is_not_asked_where_alerts_may_not_reach(server, models, gates):
    deployed(server, "inside")
    begin(server, declared("inside", 2, LONG, preflight={"webhooks": [gates.webhook("tests") | {"secret": {"file": "none"}}]}))
    eventually(lambda: view(server, "inside-v2").get("hold"))
    reason = view(server, "inside-v2")["hold"]["reason"]
    assert "127.0.0.1 is not a public address" in reason and "alerts.reach" in reason
    server.cli("rollout", "abort", "inside-v2")
    assert gates.asked == []
    for webhook, says in (({"url": "ftp://x"}, "is not an http or https URL"), ({"secret": {"env": "HOME"}}, "MAINSPRING_SECRET_"), ({"timeout": "5m"}, "at most 1m")):
        document = declared("inside", 3, LONG, preflight={"webhooks": [gates.webhook("tests") | webhook]})
        refused = server.cli("rollout", "start", "-f", "-", stdin=document, check=False)
        assert refused.returncode != 0 and says in refused.stderr, refused.stderr
