"""`mainspring profile` and `mainspring drift` on real data, beside pandas, scipy and, where it is installed, Evidently."""

import base64
import json
import os
import pathlib
import subprocess

import numpy
import pandas
import pytest
from mainspring_server import binary
from scipy import stats
from sklearn import datasets

ORACLES = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mainspring" / "oracles"


def run(*args, code=0):
    done = subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def drift(reference, current, *more, code=0):
    report = json.loads(run("drift", reference, current, "--output", "json", *more, code=code).stdout)
    said = {c["name"]: c.get("finding") or c.get("skipped") or c["broken"] for c in report["columns"]}
    return report, said


@pytest.fixture(scope="module")
def tumours():
    """Breast cancer in Wisconsin: 30 measures of 569 tumours, and what they were."""
    frame = datasets.load_breast_cancer(as_frame=True).frame
    frame["target"] = frame["target"].map({0: "malignant", 1: "benign"})
    # In an order by chance, so that neither half is the other's later time.
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture(scope="module")
def digits():
    """1,797 images of digits in 8 × 8 whole numbers."""
    return datasets.load_digits(as_frame=True).frame.astype({"target": "int64"})


def test_a_profile_is_what_pandas_says(tumours, tmp_path):
    tumours.loc[::7, "mean area"] = numpy.nan
    for name in ("t.parquet", "t.csv", "t.feather"):
        file = tmp_path / name
        {"parquet": tumours.to_parquet, "csv": lambda f: tumours.to_csv(f, index=False),
         "feather": lambda f: tumours.to_feather(f, compression="uncompressed")}[file.suffix[1:]](file)
        run("profile", file, "-o", tmp_path / "profile.json")
        profile = json.loads((tmp_path / "profile.json").read_text())
        assert profile["rows"] == len(tumours) and [c["name"] for c in profile["columns"]] == list(tumours.columns)
        for column in profile["columns"][:-1]:
            values = tumours[column["name"]]
            found = column["numbers"]
            assert (column["present"], column["missing"]) == (values.count(), values.isna().sum())
            assert numpy.allclose([found["mean"], found["deviation"], found["min"], found["max"]],
                                  [values.mean(), values.std(), values.min(), values.max()], rtol=1e-12)
            for share, value in found["quantiles"]:
                assert abs((values.dropna() <= value).mean() - share) < 2 * found["rankError"]
            assert abs(column["distinct"] / values.nunique() - 1) < 0.13
        texts = profile["columns"][-1]["texts"]
        assert dict(texts["frequent"]) == tumours["target"].value_counts().to_dict()
        pairs = {tuple(c["columns"]): c["pearson"] for c in profile["correlations"]}
        assert len(pairs) == 30 * 29 / 2
        both = ("mean radius", "mean area")
        assert numpy.isclose(pairs[both], tumours[both[0]].corr(tumours[both[1]]), atol=1e-12)


def test_evidentlys_choice_gives_scipys_numbers(tumours, tmp_path):
    halves = tumours[:300], tumours[300:]
    files = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    halves[0].to_parquet(files[0])
    halves[1].to_csv(files[1], index=False)
    report, found = drift(*files, "--profile", "evidently")
    assert report["rows"] == [300, 269] and report["verdict"] == "steady"
    for name in tumours.columns[:-1]:
        a, b = (half[name].dropna() for half in halves)
        p = stats.ks_2samp(a, b).pvalue
        assert found[name]["method"] == "K-S p_value" and numpy.isclose(found[name]["score"], p, rtol=1e-9), name
        assert found[name]["verdict"] == ("drift" if p <= 0.05 else "steady")
    assert found["target"]["method"] == "Z-test p_value"


def test_a_test_is_asked_for_with_its_threshold_and_of_some_columns(tumours, tmp_path):
    before, now = tmp_path / "before.parquet", tmp_path / "now.csv"
    tumours[:280].to_parquet(before, index=False)
    tumours[280:560].to_csv(now, index=False)
    names = ["mean radius", "mean texture", "target"]
    some = ("--columns", ",".join(names), "--profile", "evidently")
    _, said = drift(before, now, *some, "--test", "cramer_von_mises", "--text-test", "fisher_exact")
    assert list(said) == names
    mises = stats.cramervonmises_2samp(tumours["mean radius"][:280], tumours["mean radius"][280:560])
    assert said["mean radius"]["score"] == pytest.approx(mises.pvalue)
    counts = [part["target"].value_counts()[["malignant", "benign"]].to_list() for part in (tumours[:280], tumours[280:560])]
    assert said["target"]["score"] == pytest.approx(stats.fisher_exact(counts).pvalue, rel=1e-6)
    p = said["target"]["score"]
    for threshold, verdict in ((p * 1.01, "drift"), (p * 0.99, "steady")):
        finding = drift(before, now, *some, "--text-test", "fisher_exact", "--text-threshold", threshold)[1]["target"]
        assert (finding["verdict"], finding["threshold"]) == (verdict, pytest.approx(threshold)), finding
    chunks = drift(before, now, "--ignore", "target", "--profile", "nannyml", "--test", "wasserstein", "--threshold", "1e9")[1]
    assert len(chunks) == 30 and {f["verdict"] for f in chunks.values()} == {"steady"}, chunks
    first = stats.wasserstein_distance(tumours["mean radius"][:280], tumours["mean radius"][280:308])
    assert chunks["mean radius"]["chunks"][0] == pytest.approx(first)
    for asked, why in ((("--test", "psy", "--profile", "evidently"), "there are ks"), (("--threshold", "1"), "--test"),
                       (("--profile", "whylogs", "--test", "ks"), "whylogs makes its own"), (("--columns", "radius"), "neither side has a column"),
                       (("--columns", "target", "--ignore", "target"), "cannot be used with")):
        assert why in run("drift", before, now, *asked, code=2).stderr, asked


def test_a_real_shift_is_found_and_named(tumours, tmp_path):
    """The malignant ones alone: nearly every measure is another."""
    tumours.to_parquet(tmp_path / "all.parquet")
    tumours[tumours["target"] == "malignant"].to_parquet(tmp_path / "malignant.parquet", index=False)
    for profile in ("sequential", "evidently", "nannyml", "whylogs"):
        report, found = drift(tmp_path / "all.parquet", tmp_path / "malignant.parquet", "--profile", profile,
                              "--fail-on-drift", code=1)
        assert report["verdict"] == "drift"
        assert found["mean radius"]["verdict"] == found["target"]["verdict"] == "drift", profile
    # In the same order by chance, it takes the first rows alone to be sure.
    assert drift(tmp_path / "all.parquet", tmp_path / "malignant.parquet")[1]["target"]["since"] < 100
    shown = run("drift", tmp_path / "all.parquet", tmp_path / "malignant.parquet").stdout
    assert "mean radius" in shown and "columns drifted" in shown


def test_a_table_in_two_random_halves_has_not_drifted(digits, tmp_path):
    mixed = digits.sample(frac=1, random_state=3)
    mixed[:900].to_parquet(tmp_path / "a.parquet", index=False)
    mixed[900:].to_parquet(tmp_path / "b.parquet", index=False)
    report, _ = drift(tmp_path / "a.parquet", tmp_path / "b.parquet", "--fail-on-drift")
    assert report["verdict"] == "steady" and len(report["columns"]) == 65


def test_a_broken_table_fails_whatever_the_profile(tumours, tmp_path):
    # Ten chunks for NannyML: an eleventh of nine rows would alert by itself.
    whole = tumours[["mean radius", "mean area", "mean texture", "mean symmetry"]][:560]
    broken = whole.drop(columns="mean radius").assign(**{"mean area": "n/a", "mean texture": numpy.nan, "new": 1.0})
    broken["mean area"] = broken["mean area"] + broken.index.astype(str)
    for ending in ("csv", "parquet"):
        files = [tmp_path / f"{name}.{ending}" for name in ("whole", "broken", "more")]
        for frame, file in zip((whole, broken, whole.assign(new=1.0)), files):
            frame.to_csv(file, index=False) if ending == "csv" else frame.to_parquet(file, index=False)
        profile = tmp_path / f"{ending}.json"
        run("profile", files[0], "-o", profile)
        sides = [(files[0], ("sequential", "evidently", "nannyml", "whylogs")), (profile, ("evidently", "whylogs"))]
        for reference, name in ((reference, name) for reference, names in sides for name in names):
            how = ("--profile", name, "--fail-on-drift")
            report, found = drift(reference, files[1], *how, code=1)
            assert sorted(report["broken"]) == ["mean area", "mean radius", "mean texture"], (name, report)
            assert found["mean radius"] == {"what": "gone"} and found["mean texture"] == {"what": "empty"}
            assert found["mean area"] == {"what": "kind", "was": "numbers", "is": "text"}
            assert found["mean symmetry"]["verdict"] == "steady" and report["added"] == ["new"]
            shown = run("drift", reference, files[1], *how, code=1).stdout
            assert "column mean radius is gone" in shown and "column mean texture has no values any more" in shown
            assert "3 columns are broken, 0 of 1 columns drifted" in shown and "✓ 0 of" not in shown
            # What is new is said, and is no failure.
            report, _ = drift(reference, files[2], *how)
            assert (report["added"], report["broken"], report["verdict"]) == (["new"], [], "steady")


def test_a_table_below_evidentlys_share_says_what_decides(tumours, tmp_path):
    frame = tumours.iloc[:, :7]
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.assign(**{"mean radius": frame["mean radius"] + 50}).to_csv(tmp_path / "b.csv", index=False)
    shown = run("drift", tmp_path / "a.csv", tmp_path / "b.csv", "--profile", "evidently", "--fail-on-drift").stdout
    assert "1 of 7 columns drifted, but not the table" in shown and "--fail-on-drift looks at the table" in shown


def test_what_makes_no_sense_is_refused(tumours, tmp_path):
    tumours.to_parquet(tmp_path / "a.parquet")
    assert "has thresholds of its own" in run(
        "drift", tmp_path / "a.parquet", tmp_path / "a.parquet", "--profile", "evidently", "--level", "0.1", code=2).stderr
    assert "no column in common" in run("drift", tmp_path / "a.parquet", write(tmp_path / "b.csv", "x\n1\n"), code=2).stderr
    assert "cannot be read" in run("profile", tmp_path / "none.parquet", code=1).stderr


def write(file, text):
    file.write_text(text)
    return file


EVIDENTLY = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pandas
from evidently import Dataset, Report
from evidently.metrics import ValueDrift
a, b = (pandas.read_parquet(f) for f in sys.argv[1:])
report = Report([ValueDrift(column=c) for c in a.columns], include_tests=True)
found = report.run(Dataset.from_pandas(b), Dataset.from_pandas(a)).dict()
print(json.dumps([[m["config"]["column"], m["config"]["method"], float(m["value"]), t["status"].name]
                  for m, t in zip(found["metrics"], found["tests"])]))
"""


@pytest.mark.parametrize("small", [True, False])
def test_evidently_itself_says_the_same(digits, tmp_path, small):
    python = ORACLES / "evidently" / "bin" / "python"
    if not python.exists():
        pytest.skip("crates/stats/oracles/run.py --install evidently")
    # As floating point, as they were measured: many columns have few values.
    frame = digits.copy()
    frame["pixel_0_3"] = frame["pixel_0_3"].astype("float64") / 3
    a, b = (frame[:700], frame[700:]) if small else (frame[:1100], frame[1100:])
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for part, file in zip((a, b), files):
        part.to_parquet(file, index=False)
    done = subprocess.run([python, "-c", EVIDENTLY, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, ours = drift(*files, "--profile", "evidently")
    theirs = json.loads(done.stdout)
    assert len(theirs) == len(ours) == 65
    for name, method, score, status in theirs:
        found = ours[name]
        assert (found["method"], found["verdict"] == "drift") == (method, status == "FAIL"), (name, found)
        assert numpy.isclose(found["score"], score, rtol=1e-9, atol=1e-12), name


def test_datasketches_reads_the_profile(tumours, tmp_path):
    python = ORACLES / "datasketches" / "bin" / "python"
    if not python.exists():
        pytest.skip("crates/stats/oracles/run.py --install datasketches")
    tumours.to_parquet(tmp_path / "a.parquet")
    profile = json.loads(run("profile", tmp_path / "a.parquet", "--output", "json").stdout)
    column = profile["columns"][0]
    program = ("import datasketches as d, base64, sys; k = d.kll_doubles_sketch.deserialize(base64.b64decode(sys.argv[1]));"
               "h = d.hll_sketch.deserialize(base64.b64decode(sys.argv[2])); print(k.n, k.get_max_value(), h.get_estimate())")
    told = subprocess.run([python, "-c", program, column["numbers"]["kll"], column["hll"]],
                          capture_output=True, text=True, check=True).stdout.split()
    assert (int(told[0]), float(told[1])) == (569, tumours["mean radius"].max())
    assert numpy.isclose(float(told[2]), column["distinct"])
    assert base64.b64decode(column["numbers"]["kll"])[2] == 15


def docs(module):
    """First paragraphs of a library's own documentation: real texts, all different."""
    found = {}
    for name in sorted(dir(module)):
        text = (getattr(getattr(module, name), "__doc__", None) or "").strip().split("\n\n")
        found[" ".join(" ".join(text[:3]).split())] = None
    return [text for text in found if len(text) > 60]


@pytest.fixture(scope="module")
def prose():
    rng = numpy.random.default_rng(4)
    about_arrays, about_laws = docs(numpy), docs(stats)
    assert min(len(about_arrays), len(about_laws)) > 100
    half = rng.permutation(len(about_arrays))
    first, second = ([about_arrays[i] for i in part] for part in numpy.array_split(half, 2))
    return {"reference": first, "same": second, "other": about_laws}


TEXTS = """
import sys, warnings
warnings.simplefilter("ignore")
import pandas
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
a, b = (pandas.read_parquet(f) for f in sys.argv[1:])
how = DataDefinition(text_columns=["text"])
found = Report([ValueDrift(column="text")], include_tests=True).run(
    Dataset.from_pandas(b, data_definition=how), Dataset.from_pandas(a, data_definition=how)).dict()
print(found["tests"][0]["status"].name)
"""


def test_texts_are_told_apart_by_their_words_as_evidently_does(prose, tmp_path):
    for name, texts in prose.items():
        pandas.DataFrame({"text": texts, "n": range(len(texts))}).to_parquet(tmp_path / f"{name}.parquet")
    python = ORACLES / "evidently" / "bin" / "python"
    for name, verdict in (("same", "steady"), ("other", "drift")):
        files = [tmp_path / "reference.parquet", tmp_path / f"{name}.parquet"]
        for profile in ("evidently", "sequential"):
            report, found = drift(*files, "--profile", profile)
            assert found["text"]["verdict"] == verdict, (profile, report)
            apart = report["columns"][0]["apart"]
            assert apart["auc"]["low"] <= apart["auc"]["area"] <= apart["auc"]["high"]
        if name == "other":
            words = [w["name"] for w in apart["by"] if w["weight"] > 0]
            assert {"continuous", "random", "variable", "distribution"} & set(words), words
            assert words[0] in run("drift", *files).stderr
        if python.exists():
            done = subprocess.run([python, "-c", TEXTS, *files], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert (done.stdout.strip() == "FAIL") == (verdict == "drift"), name


VECTORS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pandas
from evidently.legacy.metrics.data_drift.embedding_drift_methods import distance, mmd, model, ratio
a, b = (pandas.read_parquet(f).filter(like="pixel") for f in sys.argv[1:])
tests = {"mmd": mmd(), "ratio": ratio(), "model": model(bootstrap=len(a) < 1000)}
tests |= {d: distance(dist=d) for d in ("euclidean", "cosine", "cityblock", "chebyshev")}
print(json.dumps({name: [float(x) for x in test(b.copy(), a.copy())[:2]] for name, test in tests.items()}))
"""


def test_vectors_have_evidentlys_scores(digits, tmp_path):
    """Images as vectors of 64 numbers: all digits, then those from 5 on."""
    python = ORACLES / "evidently" / "bin" / "python"
    if not python.exists():
        pytest.skip("crates/stats/oracles/run.py --install evidently")
    mixed = digits.sample(frac=1, random_state=5)
    parts = {"a": mixed[:800], "same": mixed[800:], "high": mixed[800:][mixed[800:]["target"] >= 5]}
    for name, part in parts.items():
        part.to_parquet(tmp_path / f"{name}.parquet", index=False)
        pixels = part.filter(like="pixel").to_numpy("float32")
        pandas.DataFrame({"image": list(pixels)}).to_parquet(tmp_path / f"{name}-lists.parquet")
    for name in ("same", "high"):
        files = [tmp_path / "a.parquet", tmp_path / f"{name}.parquet"]
        done = subprocess.run([python, "-c", VECTORS, *files], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for test, (score, drifted) in json.loads(done.stdout).items():
            lists = [tmp_path / "a-lists.parquet", tmp_path / f"{name}-lists.parquet"]
            for sides, column, more in ((files, "pixel_*", ["--vector", "pixel_"]), (lists, "image", [])):
                found = drift(*sides, "--profile", "evidently", "--vectors", test, *more)[1][column]
                assert (found["verdict"] == "drift") == bool(drifted), (name, test, found)
                # Of the classifiers, which differ, only the verdict is the same.
                assert test == "model" or numpy.isclose(found["score"], score, rtol=1e-9, atol=1e-12), (name, test)


def test_rows_as_wholes_are_reconstructed_as_with_scikit_learn(tumours, tmp_path):
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tumours = tumours.drop(columns="target")
    tumours.loc[::7, "mean area"] = numpy.nan
    a, b = tumours[:300], tumours[300:]
    # What went together no longer does, and each column alone is as it was.
    loose = b.apply(lambda column: column.sample(frac=1, random_state=len(column.name)).to_numpy())
    for name, part in (("a", a), ("b", b), ("loose", loose)):
        part.to_parquet(tmp_path / f"{name}.parquet", index=False)
    scaler = make_pipeline(SimpleImputer(), StandardScaler()).fit(a)
    pca = PCA(n_components=0.65).fit(scaler.transform(a))

    def errors(frame):
        scaled = scaler.transform(frame)
        each = numpy.linalg.norm(scaled - pca.inverse_transform(pca.transform(scaled)), axis=1)
        size = len(frame) // 10
        return [each[i:i + size].mean() for i in range(0, len(each), size)]

    known = numpy.array(errors(a))
    for name, frame in (("b", b), ("loose", loose)):
        report, _ = drift(tmp_path / "a.parquet", tmp_path / f"{name}.parquet", "--profile", "nannyml")
        found = report["together"][0]["finding"]
        assert numpy.allclose(found["chunks"], errors(frame), rtol=1e-9)
        assert numpy.isclose(found["threshold"], known.mean() + 3 * known.std(), rtol=1e-9)
    # Of up to 16 columns our classifier sees each two together.
    for name, part in (("a", a), ("b", b), ("loose", loose)):
        part.filter(like="mean").to_parquet(tmp_path / f"{name}.parquet", index=False)
    report, columns = drift(tmp_path / "a.parquet", tmp_path / "loose.parquet")
    assert not [name for name, found in columns.items() if found["verdict"] == "drift"]
    whole = report["together"][0]
    assert whole["finding"]["verdict"] == report["verdict"] == "drift" and whole["apart"]["pValue"] < 1e-3
    assert "rows as wholes" in run("drift", tmp_path / "a.parquet", tmp_path / "loose.parquet").stdout
    assert drift(tmp_path / "a.parquet", tmp_path / "b.parquet")[0]["together"][0]["finding"]["verdict"] == "steady"


def test_large_columns_have_scipys_numbers(tmp_path):
    random = numpy.random.default_rng(7)
    shapes = {"normal": random.standard_normal, "heavy": random.standard_cauchy, "far": lambda n: 1e9 + random.random(n),
              "grid": lambda n: random.integers(0, 40, n) / 4}
    sides = [pandas.DataFrame({name: draw(n) for name, draw in shapes.items()}) for n in (200_000, 150_000)]
    sides[1]["normal"] += 0.01
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for side, file in zip(sides, files):
        side.to_parquet(file)
    tests = {name: drift(*files, "--profile", "evidently", "--test", name)[1] for name in ("ks", "wasserstein")}
    for name in shapes:
        a, b = (side[name] for side in sides)
        assert numpy.isclose(tests["ks"][name]["score"], stats.ks_2samp(a, b).pvalue, rtol=1e-9, atol=1e-300)
        want = stats.wasserstein_distance(a, b) / a.std(ddof=0)
        assert numpy.isclose(tests["wasserstein"][name]["score"], want, rtol=1e-6 if name == "far" else 1e-9)
    assert "--profile evidently" in run("drift", *files, "--test", "ks", code=2).stderr


def test_a_prefix_without_columns_is_refused(tumours, tmp_path):
    tumours.to_parquet(tmp_path / "a.parquet")
    files = [tmp_path / "a.parquet", tmp_path / "a.parquet"]
    assert 'begins with "emb_"' in run("drift", *files, "--vector", "emb_", code=2).stderr
    assert "p-value: model or mmd" in run("drift", *files, "--vector", "mean", "--vectors", "ratio").stdout
