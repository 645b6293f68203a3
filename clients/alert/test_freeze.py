"""A channel that freezes: the version that broke a promise is kept from everything new, once, and what serves it goes on."""

import json
import time

import mlflow
import pytest
import requests
from mlflow.exceptions import MlflowException
from test_alerts import ask, deployed, slos, until

CHANNEL = {"apiVersion": "mainspring/v1", "kind": "AlertChannel", "name": "brake", "on": ["slo"], "severity": "page", "freeze": {}}


def last_notice(server):
    (channel,) = json.loads(server.cli("alert", "channels", "--output", "json"))["channels"]
    return channel["way"], (channel["deliveries"] or [None])[0]


def frozen(version):
    return mlflow.MlflowClient().get_model_version("iris", version).tags.get("mainspring.frozen")


def test_the_version_that_breaks_a_promise_is_frozen_once(start):
    server = start()
    deployed(server, "slow", p99="1us", availability="99%", minimum=40)
    server.apply(json.dumps(CHANNEL))
    ask(server, "slow", 40)
    said = until("version 1 is frozen", lambda: frozen("1"))
    assert "alert SloBurn (deployment slow, objective p99): 40 of 40 requests took longer than 0.001 ms" in said, said
    with pytest.raises(MlflowException, match="mainspring model unfreeze iris/1"):
        mlflow.MlflowClient().set_registered_model_alias("iris", "champion", "1")
    way, notice = until("the history says so", lambda: (last := last_notice(server)) and last[1] and last[1]["state"] == "sent" and last)
    assert way == "freeze" and notice["attempts"] == 1, notice
    audit = requests.get(f"{server.url}/api/v1/audit").json()["entries"]
    assert [e["subject"] for e in audit if "freeze" in e["action"]] == ["system"], audit
    # What serves it goes on, and whoever unfreezes it while the alert goes on has the last word.
    server.cli("model", "unfreeze", "iris/1")
    ask(server, "slow", 40)
    until("it was looked at again", lambda: slos(server)["p99"]["windows"][0]["requests"] == 80)
    time.sleep(2)
    assert frozen("1") is None
    tried = server.cli("alert", "test", "brake", check=False)
    assert tried.returncode != 0 and "cannot be tried" in tried.stderr, tried.stderr


def test_nothing_is_frozen_while_a_rollout_decides(start):
    """Who is at fault is then the rollout's to say."""
    server = start()
    for _ in range(2):
        deployed(server, "slow", p99="1us", minimum=40)
    document = {
        "apiVersion": "mainspring/v1", "kind": "Rollout", "name": "slow-v2", "deployment": "slow", "decision": {"ship": "noHarm"},
        "candidates": [{"name": "v2", "model": "models:/iris/2"}], "assignment": {"unit": "request"},
        "steps": [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}],
    }
    server.cli("rollout", "start", "-f", "-", stdin=json.dumps(document))
    until("the step begins", lambda: json.loads(server.cli("rollout", "status", "slow-v2", "--output", "json"))["phase"] == "step")
    server.apply(json.dumps(CHANNEL))
    ask(server, "slow", 40)
    notice = until("it is said", lambda: last_notice(server)[1])
    notice = until("it is refused", lambda: (last := last_notice(server)[1])["state"] == "refused" and last)
    assert "a rollout decides who answers" in notice["error"] and "mainspring model freeze" in notice["error"], notice
    assert (frozen("1"), frozen("2")) == (None, None)


@pytest.mark.parametrize("more, why", [
    ({"on": ["quality"]}, "is about no version"), ({"groupWait": "5s"}, "groupWait"), ({"repeat": "1h"}, "repeat"),
])
def test_a_channel_that_freezes_says_nothing_that_it_does_not_do(server, more, why):
    refused = server.cli("apply", "-f", "-", check=False, stdin=json.dumps(CHANNEL | more))
    assert refused.returncode != 0 and why in refused.stderr, refused.stderr
