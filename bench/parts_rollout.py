"""Rollouts: what choosing a variant costs a request, what a pass of the controller costs, and how often a test is wrong."""

import re
import statistics
import subprocess

import lib

# The controller may take so long over all of them, in seconds, and a request so long, in nanoseconds.
PASS, CHOICE = 1.0, 300


def example(package, name, seconds):
    """What an example prints, built with the release profile. It may fail its own target: that is for the reader."""
    command = ["cargo", "run", "--release", "--quiet", "--package", package, "--example", name]
    done = subprocess.run(command, cwd=lib.ROOT, capture_output=True, text=True, timeout=seconds)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)} printed nothing: {done.stderr.strip()[-500:]}")
    return done.stdout


def rollout(_binary):
    assigned = example("mainspring-traffic", "assign", 900)
    rows = [["with 10,000 active rollouts", "measured", "target"]]
    routed = example("mainspring-serving", "routing", 900)
    for said, what, words, most in ((assigned, "choice, among all", "choice of the variant by any of their rows", CHOICE),
                                    (assigned, "choice, in cache", "choice of the variant by a row in cache", CHOICE),
                                    (routed, "a rollout adds", "what a rollout adds to finding who answers, in serving", CHOICE),
                                    (routed, "without a rollout", "finding who answers among as many without one", None)):
        found = re.search(rf"^{re.escape(what)}\s+([\d.]+) ns", said, re.MULTILINE)
        if not found:
            raise RuntimeError(f"the bench of routing says nothing of {what!r}: {said}")
        rows.append([words, f"{found[1]} ns", f"{most} ns" if most else ""])
    passes = example("mainspring-rollout", "controller_pass", 1800)
    seconds = [float(s) for s in re.findall(r"^pass \d+: ([\d.]+) s", passes, re.MULTILINE)]
    if len(seconds) < 6:
        raise RuntimeError(f"the controller did not get through its passes: {passes}")
    rows.append(["a pass in which all of them begin, or are decided about", f"{max(seconds[:3]):.2f} s at most", ""])
    rows.append(["a pass with nothing to write", f"{statistics.median(seconds[3:]):.2f} s, {max(seconds[3:]):.2f} at most", f"{PASS:g} s"])
    return rows


def errors(_binary):
    """In 10,000 rollouts where there is nothing to find, and in 1,000 where there is something."""
    said = example("mainspring-stats", "error_rates", 3 * 3600)
    chance = re.search(r"^rejected at 5 %, percent \(at most ([\d.]+) is chance\)", said, re.MULTILINE)
    if not chance:
        raise RuntimeError(f"the error rates came out otherwise than they are read: {said}")
    rows = [[f"percent rejected where nothing is, at 5 % ({chance[1]} at most by chance)", "guarantee", "steady", "drifting baseline", "rising weight", "where something is"]]
    rows += [list(found) for found in re.findall(r"^(.+?) +(exact|asymptotic) +([\d.-]+) +([\d.-]+) +([\d.-]+) +([\d.]+)$", said, re.MULTILINE)]
    rows += [[f"power: {name}, published {published}", "", "", "", "", simulated]
             for name, published, simulated in re.findall(r"^(.+?\)) +(\d+\.\d+) +(\d+\.\d+)$", said, re.MULTILINE)]
    if len(rows) < 20:
        raise RuntimeError(f"only {len(rows)} error rates were read: {said}")
    return rows
