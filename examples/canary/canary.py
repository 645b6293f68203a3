#!/usr/bin/env python3
"""A good candidate takes over, a bad one is rolled back, and nobody watches.

Starts a Mainspring of its own, trains three versions of one model through the `mlflow` client, deploys the first,
lets users ask and say whether the answers were right, and rolls the other two out as canaries. Version 2 is better.
Version 3 was trained on measurements in another unit: its own test looks fine, and real requests show what it is worth.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

if __name__ == "__main__":
    import example
    import story

    example.run("Mainspring: canaries that promote and roll back by themselves", __doc__, HERE, story.tell)
