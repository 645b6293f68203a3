#!/usr/bin/env python3
"""Run the tests of the real clients. `make test STEP=clients` calls it.

    clients/run.py --binary PATH [pytest's own arguments]

Tests in files called `test_kserve*.py` run in an environment of their own: that client asks for older
versions of packages than the others do. The folders of PATIENT mostly wait, for moments that come, for evidence that
gathers, or for commands: each of its lanes runs beside the others, and what they printed comes at the end. So does MLflow's
own client once more, against a server on Postgres and S3, where MAINSPRING_TEST_POSTGRES and MAINSPRING_TEST_S3 name some.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from mainspring_server import Mainspring, stores

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
KSERVE = "test_kserve*.py"
# Has a step of its own.
FRAMEWORKS = HERE / "frameworks"
PATIENT = {
    "what waits for a rollout": ("rollout",),
    "what waits for alarms": ("alert", "export"),
    "what waits for rows": ("cost", "monitor"),
    "what runs processes of its own": ("batch", "convert"),
}
OUTSIDE = "mlflow on Postgres and S3"
# What pytest says where its own arguments leave no test of a lane.
NOTHING = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the mainspring to test; MAINSPRING_BIN when left out")
    args, more = parser.parse_known_args()
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", MLFLOW_ENABLE_ASYNC_LOGGING="false", MLFLOW_DISABLE_TELEMETRY="true", ORT_DISABLE_TELEMETRY="1")
    if args.binary:
        env["MAINSPRING_BIN"] = os.path.abspath(args.binary)
    if not os.access(env.get("MAINSPRING_BIN", ""), os.X_OK):
        sys.exit(f"clients: {env.get('MAINSPRING_BIN') or 'no binary'} is not there; run: make build")
    # Which binary the server of the lane below is.
    os.environ["MAINSPRING_BIN"] = env["MAINSPRING_BIN"]
    common = ["-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "--rootdir", str(HERE)]
    patient = {name: [str(HERE / folder) for folder in folders] for name, folders in PATIENT.items()}
    apart = [FRAMEWORKS, *sum(patient.values(), [])]
    lanes = {"what is busy": (ROOT / ".venv", [str(HERE), f"--ignore-glob=*/{KSERVE}", *(f"--ignore={folder}" for folder in apart)])}
    if kserve := sorted(map(str, HERE.rglob(KSERVE))):
        lanes["kserve"] = ROOT / ".venvs" / "kserve", kserve

    def run(venv, what, output=None, **variables):
        command = [str(venv / "bin" / "python"), *common, *what, *more]
        return subprocess.run(command, env=env | variables, cwd=HERE, stdout=output, stderr=output).returncode

    def outside(given, output):
        """The same tests as on SQLite and disk, against one server; what keeps it from starting is their failure."""
        with contextlib.ExitStack() as stack:
            try:
                flags, variables = stack.enter_context(stores(*given))
                server = Mainspring(*flags, env=variables)
            except (OSError, RuntimeError, subprocess.CalledProcessError) as e:
                print(e, file=output)
                return 1
            stack.callback(server.stop)
            return run(ROOT / ".venv", [str(HERE / "mlflow")], output, MAINSPRING_URL=server.url)

    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
        beside = {}
        for name, folders in patient.items():
            output = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            beside[name] = output, pool.submit(run, ROOT / ".venv", folders, output)
        given = [env.get(name) for name in ("MAINSPRING_TEST_POSTGRES", "MAINSPRING_TEST_S3")]
        if all(given):
            output = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            beside[OUTSIDE] = output, pool.submit(outside, given, output)
        else:
            print(f"--- clients: {OUTSIDE} is left out: MAINSPRING_TEST_POSTGRES and MAINSPRING_TEST_S3 name none; make test starts them", flush=True)
        codes = set()
        for name, lane in lanes.items():
            print(f"--- clients: {name}", flush=True)
            codes.add(run(*lane))
        for name, (output, ended) in beside.items():
            codes.add(ended.result())
            output.seek(0)
            print(f"--- clients: {name}, beside the others\n{output.read()}", flush=True)
    return 0 if 0 in codes and codes <= {0, NOTHING} else 1


if __name__ == "__main__":
    sys.exit(main())
