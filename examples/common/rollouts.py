"""Follows a rollout from its file to its end."""

import sys
import time

import screen

PATIENCE = 300
# Words for what the tests say.
ROLES = {"guardrail": "must not get worse", "success": "is to get better", "signal": "worth a look", "quality": "can it be trusted"}


def begin(server, file):
    server.cli("rollout", "start", "-f", file)


def view(server, name):
    return server.json("rollout", "status", name)


def decisions(server, name):
    """The oldest first."""
    return list(reversed(server.json("rollout", "decisions", name)["decisions"]))


def follow(server, name, people, *ends):
    """Print each decision as it is made, until the rollout has come to one of these phases. Returns what it looked like
    just before the last one, when everything was still measured, and the decisions."""
    began, shown, last = time.monotonic(), 0, None
    while True:
        now = view(server, name)
        log = decisions(server, name)
        for decision in log[shown:]:
            print(f"      {time.monotonic() - began:5.1f} s  {decision['sentence']}", flush=True)
        shown = len(log)
        if now["metrics"]:
            last = now
        if now["phase"] in ends:
            return last, log
        if people.failures:
            sys.exit(f"\na request failed: {people.failures[0]}")
        if time.monotonic() - began > PATIENCE:
            server.cli("rollout", "status", name)
            sys.exit(f"\nthe rollout did not end; it is in phase {now['phase']}: {now.get('hold')}")
        time.sleep(0.3)


def decided(log, kind):
    """The decision of this kind, with the numbers that justified it."""
    found = next((decision for decision in log if decision["kind"] == kind), None)
    return found or sys.exit(f"\nnothing of kind {kind} was decided: {[decision['kind'] for decision in log]}")


def number(value):
    return "" if value is None else f"{value:.4g}"


def effect(metric):
    """The candidate's effect and where it surely lies, however often one looks."""
    found = metric.get("effect")
    if found is None:
        return metric.get("why") or ""
    low, high = (number(found.get(end)) or "…" for end in ("low", "high"))
    sign = "+" if metric["scale"] == "difference" and found["estimate"] > 0 else ""
    times = "×" if metric["scale"] == "ratio" else ""
    return f"{times}{sign}{number(found['estimate'])} [{low}, {high}]"


def table(metrics):
    rows = [("metric", "", "stable", "candidate", "effect [95 %, at any look]", "finding")]
    for metric in metrics:
        values = (number(metric.get("stable")), number(metric.get("candidate")))
        rows.append((metric["name"], ROLES.get(metric["role"], metric["role"]), *values, effect(metric), metric["finding"]))
    return screen.table(rows)
