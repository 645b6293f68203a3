#!/usr/bin/env python3
"""From a training run to a served, recorded prediction, on real data. `make demo` runs it.

Starts a Mainspring of its own on a fresh data folder, trains and registers models through the
`mlflow` client, deploys them, calls them with four kinds of client, promotes a second version under
load, sends the true labels back, and asks the journal which version was better.
"""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
LOAD = int(os.environ.get("DEMO_REQUESTS", "2000"))
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]

if __name__ == "__main__":
    import example
    import story

    example.run("Mainspring: from a training run to a served, recorded prediction", __doc__, HERE, lambda server: story.tell(server, LOAD))
