"""A model that is open in no time, for tests that start it over and over."""

import os
import signal
import subprocess
import time


class double:
    name = "double"


class column:
    name, type, required = "x", double, True


class schema:
    inputs = [column]

    def is_tensor_spec():
        return False


class signature:
    inputs, outputs, params = schema, None, None

    def to_dict():
        return {"inputs": '[{"name": "x", "type": "double", "required": true}]'}


kept = []


def load():
    if os.path.exists(os.path.join(os.path.dirname(__file__), "slow")):
        print("still opening", flush=True)
        time.sleep(600)


def predict(model, data):
    if os.path.exists(os.path.join(os.path.dirname(__file__), "waits")):
        time.sleep(0.02)
    order = data["x"].iloc[0]
    if order == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if order == 2:
        subprocess.Popen(["sleep", "600"])
        open("left-behind", "w").close()
        os._exit(3)
    if order == 3:
        # Written, so that it is resident.
        kept.append(b"x" * (100 << 20))
    return data["x"] * 2
