#!/usr/bin/env python3
"""Run the tests of the frameworks whose wheels bring gigabytes. `make test STEP=frameworks` calls it.

    clients/frameworks/run.py --binary PATH [--require] [pytest's own arguments]

The packages of each are laid down once a machine, outside the clone, in a folder called by the digest of its
pins and their hashes, and read from there beside those of `.venv`. A framework is skipped, with the reason, when
it has no such folder yet and the disk is too full for one, or when making it fails or takes longer than
MAKING; with --require that is a failure.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mainspring" / "frameworks"
BASE = ROOT / ".venv"
# Seconds that laying one down may take.
MAKING = 240
# What a machine keeps free for everything else, GB.
SPARE = 5
# An environment that nothing has used for so many days goes when another one is made.
UNUSED = 30


@dataclasses.dataclass(frozen=True)
class Framework:
    name: str
    # What it takes on disk while it is laid down, wheels included, GB.
    gigabytes: float


FRAMEWORKS = [Framework("torch", 6.5), Framework("tensorflow", 2.5)]


class Skip(Exception):
    """Why a framework is not tested on this machine."""


def requirements(lock):
    """By `name==version`, the entry of a lock file with its hashes."""
    entries = {}
    for line in lock.read_text().splitlines():
        if re.match(r"[A-Za-z0-9._-]+(\[[^\]]*\])?==", line):
            pin = line.split()[0]
            entries[pin] = line
        elif line.startswith(" ") and entries:
            entries[pin] += "\n" + line
    return entries


def packages(name):
    """What the framework needs beside the packages of `.venv`."""
    have = requirements(ROOT / "requirements" / "test.lock")
    return [entry for pin, entry in sorted(requirements(ROOT / "requirements" / f"{name}.lock").items()) if pin not in have]


def clear(keep):
    """Takes away what was laid down for other versions and has not been used for long."""
    for folder in CACHE.iterdir():
        stamp = folder / "used"
        if folder != keep and stamp.exists() and time.time() - stamp.stat().st_mtime > UNUSED * 86400:
            shutil.rmtree(folder, ignore_errors=True)


def lay_down(framework):
    """The folder of the framework's packages, made now if it is not there."""
    wanted = "\n".join(packages(framework.name)) + "\n"
    digest = hashlib.sha256(f"{sys.version}\n{wanted}".encode()).hexdigest()[:16]
    folder = CACHE / f"{framework.name}-{digest}"
    if folder.exists():
        (folder / "used").touch()
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    clear(folder)
    free = shutil.disk_usage(CACHE).free / 1e9
    if free < framework.gigabytes + SPARE:
        raise Skip(f"its packages need {framework.gigabytes:g} GB in {CACHE}, and {SPARE} GB are to stay free; {free:.0f} GB are")
    print(f"frameworks: laying down {framework.name} in {folder} (at most {MAKING} s)", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{framework.name}-", suffix=".part", dir=CACHE) as part:
        listed = pathlib.Path(part) / "requirements.txt"
        listed.write_text(wanted)
        made = pathlib.Path(part) / "whole"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile", "--no-cache-dir",
                   "--no-deps", "--only-binary=:all:", "--require-hashes", "--target", str(made / "packages"), "-r", str(listed)]
        try:
            # What pip unpacks goes to its temporary folder first; beside its destination, it is only moved.
            done = subprocess.run(command, env=dict(os.environ, TMPDIR=part), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=MAKING)
        except subprocess.TimeoutExpired:
            raise Skip(f"its packages were not there after {MAKING} s") from None
        if done.returncode != 0:
            raise Skip(f"its packages cannot be installed: {' | '.join(done.stdout.strip().splitlines()[-3:])}")
        (made / "used").touch()
        made.rename(folder)
    print(f"frameworks: {framework.name} is there after {time.monotonic() - started:.0f} s", flush=True)
    return folder


def interpreter(framework, folder):
    """A Python of this clone that sees the framework's packages, then those of `.venv`."""
    venv = ROOT / ".venvs" / framework.name
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next((venv / "lib").glob("python*")) / "site-packages"
    base = next((BASE / "lib").glob("python*")) / "site-packages"
    lines = [f"import site; site.addsitedir({str(place)!r})" for place in (folder / "packages", base)]
    (site / "frameworks.pth").write_text("\n".join(lines) + "\n")
    return venv / "bin" / "python"


def timed(command, env, output):
    """The exit code of a command, and its seconds."""
    started = time.monotonic()
    code = subprocess.run(command, env=env, cwd=HERE, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode
    return code, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the mainspring to test; MAINSPRING_BIN when left out")
    parser.add_argument("--require", action="store_true", help="fail where a framework would be skipped")
    parser.add_argument("--framework", choices=[each.name for each in FRAMEWORKS], help="this one alone")
    args, more = parser.parse_known_args()
    # Byte code is written here: workers never write any, and each would compile all of a framework anew.
    env = dict(os.environ, MLFLOW_ENABLE_ASYNC_LOGGING="false", MLFLOW_DISABLE_TELEMETRY="true", ORT_DISABLE_TELEMETRY="1")
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    # Nothing is fetched from a hub: what a test needs it makes, or a wheel carries it.
    env |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    if args.binary:
        env["MAINSPRING_BIN"] = os.path.abspath(args.binary)
    if not os.access(env.get("MAINSPRING_BIN", ""), os.X_OK):
        sys.exit(f"frameworks: {env.get('MAINSPRING_BIN') or 'no binary'} is not there; run: make build")
    said, failed = [], False
    with contextlib.ExitStack() as stack:
        pool, beside = stack.enter_context(concurrent.futures.ThreadPoolExecutor()), []
        # Each waits for much beside its calculations: one is tested while the next is laid down, and tested.
        for framework in FRAMEWORKS:
            if args.framework not in (None, framework.name):
                continue
            try:
                python = interpreter(framework, lay_down(framework))
            except Skip as why:
                said.append(f"skipped {framework.name}: {why}")
                failed |= args.require
                continue
            output = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            command = [str(python), "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "--rootdir", str(HERE.parent), str(HERE / framework.name), *more]
            beside.append((framework, output, pool.submit(timed, command, env, output)))
        for framework, output, ended in beside:
            code, seconds = ended.result()
            output.seek(0)
            print(f"--- {framework.name}\n{output.read()}", flush=True)
            failed |= code != 0
            said.append(f"{'FAILED' if code else 'ran'} {framework.name} ({seconds:.0f} s)")
    for line in said:
        print(f"frameworks: {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
