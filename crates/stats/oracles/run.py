#!/usr/bin/env python3
"""Values of independent packages, beside which our statistics are tested.

    run.py --check             compute them anew, where a package is installed, and compare with the files here
    run.py --write NAME ...    write NAME.json anew
    run.py --install NAME ...  make the environment of a package

Each package has an environment of its own under ~/.cache/mainspring/oracles, because they want different
versions of NumPy and Python. What is not installed is skipped, and said. The tests of the crate read the JSON
files and need no Python.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HOME = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mainspring" / "oracles"

# Without the rest of its dependencies, which are a gigabyte of plots and tuning.
NANNYML = ["numpy<2", "pandas<2.2", "scipy<1.13", "scikit-learn<1.6", "lightgbm<5", "--no-deps nannyml==0.13.1",
           "--no-deps category_encoders==2.6.4"]

# name: (environment, what pip installs into it, Python it needs)
ORACLES = {
    "gbstats": ("gbstats", ["gbstats==0.8.0"], "3.11"),
    "savvi": ("savvi", ["savvi==0.3.1", "matplotlib"], "3.11"),
    "spotify": ("spotify-confidence", ["spotify-confidence==4.1.0"], "3.11"),
    # Its extension wants Boost's headers, which BOOST_ROOT may name, and a Python up to 3.9.
    "confseq": ("confseq", ["confseq==0.0.11", "numpy<2"], "3.9"),
    # Its mixtures are SciPy's functions where confseq's are Boost's.
    "expectation": ("expectation", ["expectation==0.6.1"], "3.12"),
    # Without its dependencies: the estimators need no torch.
    "obp": ("obp", ["numpy", "scipy", "scikit-learn", "pandas", "tqdm", "pyyaml", "--no-deps obp==0.4.1"], "3.11"),
    "scipy": ("gbstats", ["gbstats==0.8.0"], "3.11"),
    "evidently": ("evidently", ["evidently==0.7.23", "pandas<3"], "3.11"),
    # scikit-learn's metrics and statsmodels' intervals come with Evidently.
    "performance": ("evidently", ["evidently==0.7.23", "pandas<3"], "3.11"),
    "fairlearn": ("fairlearn", ["fairlearn==0.15.0"], "3.11"),
    # numpy since 2.0 makes no bins of whole numbers narrower than one.
    "twosample": ("evidently", ["evidently==0.7.23", "pandas<3"], "3.11"),
    "nannyml": ("nannyml", NANNYML, "3.11"),
    "cbpe": ("nannyml", NANNYML, "3.11"),
    "multivariate": ("nannyml", NANNYML, "3.11"),
    "embeddings": ("evidently", ["evidently==0.7.23", "pandas<3"], "3.11"),
    "whylogs": ("whylogs", ["whylogs==1.6.4", "scipy", "pandas<3", "setuptools<80"], "3.11"),
    "great_expectations": ("great-expectations", ["great_expectations==1.24.1"], "3.11"),
    "datasketches": ("datasketches", ["datasketches==5.2.0"], "3.11"),
    "river": ("river", ["river==0.26.1"], "3.11"),
}


def same(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-11, abs_tol=1e-11)
    return a == b


def compute(name):
    python = HOME / ORACLES[name][0] / "bin" / "python"
    if not python.exists():
        return None
    done = subprocess.run([python, HERE / "cases.py", name], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    return json.loads(done.stdout)


def check():
    wrong = []
    for name in ORACLES:
        got = compute(name)
        if got is None:
            print(f"{name}: not installed, skipped (run.py --install {name})")
            continue
        want = json.loads((HERE / f"{name}.json").read_text())
        # Another version may still agree; what it says is what counts.
        ok = same(got["cases"], want["cases"])
        print(f"{name} {got['version']}: {'agrees' if ok else 'DIFFERS'}")
        wrong += [] if ok else [name]
    return wrong


def install(name):
    env, packages, python = ORACLES[name]
    found = shutil.which(f"python{python}") or sys.exit(f"{name} needs python{python} on the path")
    subprocess.run([found, "-m", "venv", HOME / env], check=True)
    pip = [HOME / env / "bin" / "pip", "install", "--quiet"]
    alone = [package for package in packages if package.startswith("--no-deps ")]
    subprocess.run([*pip, *(package for package in packages if package not in alone)], check=True)
    for package in alone:
        subprocess.run([*pip, *package.split()], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--write", nargs="+", choices=ORACLES)
    what.add_argument("--install", nargs="+", choices=ORACLES)
    args = parser.parse_args()
    if args.check:
        sys.exit(1 if check() else 0)
    for name in args.install or []:
        install(name)
    for name in args.write or []:
        got = compute(name)
        if got is None:
            sys.exit(f"{name} is not installed: run.py --install {name}")
        (HERE / f"{name}.json").write_text(json.dumps(got, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
