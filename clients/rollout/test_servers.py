"""Two servers on one Postgres and one bucket: the one that decides counts what the other answers, each answer once, hears
of limits that were broken there, and is followed by it when it dies, whatever harm it was about to find."""

import contextlib
import datetime
import json
import os
import sys
import time

import mlflow
import pytest
from harms import Better, Biased, Late, Slow, Worse, ready
from mainspring_server import ROOT, Mainspring, stores
from test_rollouts import PATIENCE, Traffic, begin, by_chance, declared, decisions, deployed, lumps, until, view

sys.path.insert(0, str(ROOT / "tools"))
import services


@contextlib.contextmanager
def shared():
    """An empty database and a folder of a bucket, and what it takes to reach them."""
    with contextlib.ExitStack() as stack:
        postgres = os.environ.get("MAINSPRING_TEST_POSTGRES") or stack.enter_context(services.postgres())
        bucket = os.environ.get("MAINSPRING_TEST_S3") or stack.enter_context(services.s3())
        flags, env = stack.enter_context(stores(postgres, bucket))
        # What is sealed both can read, and these tests count what each answered itself, however long they take.
        yield [*flags, "--journal-seal-after", "6h"], env


@contextlib.contextmanager
def pair():
    """Two servers that share one, and the rows of what they know to answer."""
    with shared() as (flags, env), contextlib.ExitStack() as stack:
        running = [Mainspring(*flags, env=env) for _ in range(2)]
        for server in running:
            stack.callback(server.stop)
        yield running, lumps(running[0])


@pytest.fixture(scope="module")
def servers():
    with pair() as both:
        yield both


def on_both(running, name):
    deployed(running[0], name)
    ready(running, name)


def who_decides(running, rollout):
    """The server that decides, and the other one."""
    end = time.monotonic() + PATIENCE
    while True:
        for server, other in (running, reversed(running)):
            with contextlib.suppress(AssertionError):
                if view(server, rollout)["metrics"]:
                    return server, other
        assert time.monotonic() < end
        time.sleep(0.2)


def counted(server, rollout):
    return sum(variant["answers"] for variant in view(server, rollout)["variants"])


def journaled(server, deployment):
    """What a server answered and counts; only its own, while nothing is sealed."""
    sql = f"SELECT count(*) AS n FROM predictions WHERE deployment = '{deployment}' AND generation IS NOT NULL AND \"row\" = 0"
    return server.query(sql)[0]["n"]


def wait(what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (seen := what())[0]:
        assert time.monotonic() < end, seen
        time.sleep(0.2)


CANARY = [{"canary": {"weight": 50, "minExposures": 1000000, "minDuration": "1h"}}]


def test_a_limit_that_is_broken_on_one_server_ends_the_rollout_on_all(servers):
    running, rows = servers
    on_both(running, "limit")
    # No answer is that quick.
    begin(running[0], declared("limit", 2, CANARY, hardLimits={"p99": "1us", "window": "60s", "minRequests": 100}))
    decides, other = who_decides(running, "limit-v2")
    until(decides, "limit-v2", "step")
    with Traffic(other, "limit", rows) as traffic:
        until(decides, "limit-v2", "rolledBack")
    assert traffic.failed == 0
    sentence = next(d for d in decisions(decides, "limit-v2") if d["kind"] == "rolledBack")["sentence"]
    assert "on server" in sentence and "hard limit" in sentence, sentence
    until(other, "limit-v2", "rolledBack")


def test_a_bandit_learns_from_both_servers_and_both_choose_alike(servers):
    running, rows = servers
    on_both(running, "both")
    steps = [{"bandit": {"period": "4s", "minWeight": 5, "minExposures": 40, "minDuration": "1h", "maxDuration": "2h"}}]
    metrics = {"guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.1}],
               "success": [{"name": "correct", "kind": "mean", "source": "label:correct"}]}
    document = json.loads(declared("both", 2, steps, metrics=metrics))
    document["candidates"] = [{"name": "twin", "model": "models:/lump/1"}, {"name": "v2", "model": "models:/lump/2"}]
    begin(running[0], json.dumps(document))
    decides, other = who_decides(running, "both-v2")
    until(decides, "both-v2", "step")
    moves = lambda: [d for d in decisions(decides, "both-v2") if d["kind"] == "reweighted"]
    with Traffic(decides, "both", rows) as here, Traffic(other, "both", rows) as there:
        # Where the first weights are right at once, there is no second move.
        wait(lambda: (any(move["weights"][2] > 0.4 for move in moves()), view(decides, "both-v2")))
        # Some traffic under the last weights as well.
        enough = counted(decides, "both-v2") + 300
        wait(lambda: (counted(decides, "both-v2") > enough,))
    assert here.failed == there.failed == 0
    every = journaled(decides, "both") + journaled(other, "both")
    wait(lambda: ((seen := counted(decides, "both-v2")) == every, seen, every))
    # Whichever was asked, a unit had one variant at a time, with a probability that was decided; they add up to one.
    sql = "SELECT DISTINCT generation, unit, variant, propensity FROM predictions WHERE deployment = 'both' AND generation IS NOT NULL AND \"row\" = 0"
    chosen = {(r["generation"], r["unit"], r["variant"], r["propensity"]) for server in (decides, other) for r in server.query(sql)}
    assert len({(generation, unit) for generation, unit, *_ in chosen}) == len(chosen)
    units = {}
    for generation, _, variant, propensity in chosen:
        of = units.setdefault(generation, {}).setdefault(variant, [propensity, 0])
        assert of[0] == propensity
        of[1] += 1
    whole = [variants for variants in units.values() if len(variants) == 3]
    assert len(whole) >= 2 and all(abs(sum(p for p, _ in variants.values()) - 1) < 1e-5 for variants in whole)
    good, found = by_chance([list(variants.values()) for variants in whole])
    assert good, found
    running[0].cli("rollout", "abort", "both-v2")
    until(decides, "both-v2", "rolledBack")
    assert "decisions follow from the journal" in decides.cli("rollout", "replay", "both-v2")


def test_who_decides_counts_every_answer_once_and_so_does_its_successor(servers):
    running, rows = servers
    on_both(running, "pair")
    metrics = {"guardrails": [{"name": "correct", "kind": "mean", "source": "label:correct", "nonInferiority": 0.2}]}
    begin(running[0], declared("pair", 2, CANARY, metrics=metrics, decision={"ship": "notWorse"}))
    decides, other = who_decides(running, "pair-v2")
    until(decides, "pair-v2", "step")
    # Only the other one is asked; nothing of it is sealed.
    with Traffic(other, "pair", rows) as traffic:
        wait(lambda: (counted(decides, "pair-v2") >= 200, view(decides, "pair-v2")))
    assert traffic.failed == 0 and journaled(decides, "pair") == 0
    wait(lambda: ((seen := counted(decides, "pair-v2")) == (n := journaled(other, "pair")), seen, n))
    correct = next(m for m in view(decides, "pair-v2")["metrics"] if m["name"] == "correct")
    assert min(correct["units"]) > 20, "labels came by the other server as well"
    # Both are asked.
    with Traffic(decides, "pair", rows), Traffic(other, "pair", rows):
        time_to_answer = time.monotonic() + 3
        wait(lambda: (time.monotonic() > time_to_answer and journaled(decides, "pair") > 100,))
    every = journaled(decides, "pair") + journaled(other, "pair")
    wait(lambda: ((seen := counted(decides, "pair-v2")) == every, seen, every))
    # The successor has only its own log, and what the dead one told.
    decides.kill()
    wait(lambda: (view(other, "pair-v2")["metrics"] and counted(other, "pair-v2") == every, view(other, "pair-v2"), every))
    with Traffic(other, "pair", rows):
        wait(lambda: (counted(other, "pair-v2") > every + 100,))
    other.cli("rollout", "promote", "pair-v2")
    until(other, "pair-v2", "succeeded")
    # What the dead one answered is in no journal that anybody can read: the same decisions come out all the same.
    assert "decisions follow from the journal" in other.cli("rollout", "replay", "pair-v2")


# Of each harm, and of the gain: how many ask before the kill, and the seconds between two. What takes longest begins first.
HARMS = {Late: (None, 0.03), Worse: (20, 0.1), Better: (20, 0.1), Biased: (40, 0.1), Slow: (20, 0.1)}


@pytest.fixture(scope="module")
def harmed():
    """A rollout of each on two servers. Who decides is killed under traffic: where there is not enough for a verdict yet,
    and of `Late` once it was promoted. Yields the harms, who died, who is left, and when that was."""
    with pair() as (running, rows), contextlib.ExitStack() as stack:
        harms = [harm(running, rows, few=few, pace=pace) for harm, (few, pace) in HARMS.items()]
        for harm in harms:
            harm.deploy()
        for harm in harms:
            harm.begin()
            stack.enter_context(harm)
        late = next(harm for harm in harms if harm.few is None)
        late.promoted(running[0])
        late.stop.set()
        dies, left = who_decides(running, late.rollout)
        # It knows what both answered, and waits for more.
        known = lambda harm: (harm.waits, counted(dies, harm.rollout), sum(journaled(server, harm.name) for server in running))
        for harm in harms:
            wait(lambda: (harm is late or (seen := known(harm))[0] and seen[1] == seen[2] > 0, harm.name, known(harm)))
        for harm in harms:
            harm.more.set()
        dies.kill()
        yield {type(harm): harm for harm in harms}, dies, left, datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("harm", HARMS)
def test_a_successor_finds_each_harm_and_gain_that_a_killed_one_was_about_to_find(harmed, harm):
    harms, dies, left, killed = harmed
    # Of late labels those alone that are about answers of the dead one, whose journal nobody can read.
    last = harms[harm].verdict(left, **({"of": dies} if harm is Late else {}))
    harms[harm].stop.set()
    assert datetime.datetime.fromisoformat(last["at"]) > killed, last


def test_what_a_successor_decided_follows_from_what_the_killed_one_told(harmed):
    harms, _, left, _ = harmed
    for harm in harms.values():
        harm.stop.set()
    for harm in harms.values():
        assert "decisions follow from the journal" in left.cli("rollout", "replay", harm.rollout)
