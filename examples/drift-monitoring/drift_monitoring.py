#!/usr/bin/env python3
"""A laboratory changes a unit, and the server says so: what drifted, since when, what it did, and it stops the rollout.

Starts a Mainspring of its own, trains two versions of a model through the `mlflow` client, saves the profile of the
training data with the first and deploys it, rolls the second out, and watches the rows. Then some measurements come in
another unit. An alert reaches a receiver, signed, and the rollout that nobody could have judged any more is taken back.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

if __name__ == "__main__":
    import example
    import story

    example.run("Mainspring: drift, its cause, and what is done about it", __doc__, HERE, story.tell, story.SETTINGS)
