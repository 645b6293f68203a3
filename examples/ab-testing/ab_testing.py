#!/usr/bin/env python3
"""An A/B test of two models on real data, with statistics that you may look at while it runs.

Starts a Mainspring of its own, trains two versions of one model through the `mlflow` client, deploys the first, lets
users ask and say whether the answers were right, plans the test by simulation, runs it, and shows what it found: the
effect with its confidence sequence, the guardrails, the sample ratio, and the users who were held out.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

if __name__ == "__main__":
    import example
    import story

    example.run("Mainspring: an A/B test that you may look at", __doc__, HERE, story.tell)
