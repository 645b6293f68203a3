#!/usr/bin/env python3
"""Run the tests of the real clients. `make test STEP=clients` calls it.

    clients/run.py --binary PATH [pytest's own arguments]

Tests in files called `test_kserve*.py` run in an environment of their own: that client asks for older
versions of packages than the others do.
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
KSERVE = "test_kserve*.py"
# Has a step of its own.
FRAMEWORKS = HERE / "frameworks"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the mainspring to test; MAINSPRING_BIN when left out")
    args, more = parser.parse_known_args()
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", MLFLOW_ENABLE_ASYNC_LOGGING="false", MLFLOW_DISABLE_TELEMETRY="true")
    if args.binary:
        env["MAINSPRING_BIN"] = os.path.abspath(args.binary)
    if not os.access(env.get("MAINSPRING_BIN", ""), os.X_OK):
        sys.exit(f"clients: {env.get('MAINSPRING_BIN') or 'no binary'} is not there; run: make build")
    common = ["-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "--rootdir", str(HERE)]
    runs = [(ROOT / ".venv", [str(HERE), f"--ignore-glob=*/{KSERVE}", f"--ignore={FRAMEWORKS}"])]
    kserve = sorted(map(str, HERE.rglob(KSERVE)))
    if kserve:
        runs.append((ROOT / ".venvs" / "kserve", kserve))
    failed = 0
    for venv, what in runs:
        print(f"--- clients in {venv.relative_to(ROOT)}", flush=True)
        code = subprocess.run([str(venv / "bin" / "python"), *common, *what, *more], env=env, cwd=HERE).returncode
        failed += code != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
