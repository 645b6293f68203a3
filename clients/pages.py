"""Runs a page of the documentation as its reader would: its Python, its declarations and its commands, in order."""

import json
import os
import pathlib
import re
import subprocess
import sys

PAGES = pathlib.Path(__file__).resolve().parent.parent / "docs" / "how-to"
BLOCK = re.compile(r"^```(python|yaml|sh)\n(.*?)^```", re.S | re.M)
THERE = "127.0.0.1:8080"


def follow(server, page, folder):
    """Everything on the page works, and each call on it is answered with values; `folder` is the working folder."""
    # What an earlier test told mlflow of another server is in the environment, too.
    env = dict(os.environ, MLFLOW_TRACKING_URI=server.url)
    answers = 0
    for kind, text in BLOCK.findall((PAGES / page).read_text()):
        text = text.replace(THERE, server.base)
        if kind == "yaml":
            server.apply(text)
            continue
        command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        if kind == "sh":
            answer = json.loads(done.stdout)
            assert answer.get("outputs") or answer.get("predictions"), done.stdout
            answers += 1
        answers += "'predictions'" in done.stdout
    assert answers, "nothing on the page calls a deployment"
