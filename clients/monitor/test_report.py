"""Reports as one HTML file, read by a real parser of HTML and drawn by a real browser."""

import html.parser
import json
import shutil
import subprocess

import numpy
import pandas
import pytest
from mainspring_server import binary

VOID = {"meta", "br", "rect", "path", "circle"}
ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202eevil"


class Page(html.parser.HTMLParser):
    """What elements a page has, and that they are closed in their order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.attributes, self.text = [], [], set(), ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def run(*args, code=0):
    done = subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def tables(tmp_path):
    rng = numpy.random.default_rng(7)
    rows = 2_000

    def table(shift):
        return pandas.DataFrame({
            "steady": rng.normal(size=rows),
            "age": rng.integers(18, 40, rows) + (9 if shift else 0),
            ATTACK: rng.normal(3 * shift, 1, rows),
            "plan": rng.choice(["basic", "gold", "<b>new</b>"], rows, p=[0.2, 0.2, 0.6] if shift else [0.6, 0.4, 0.0]),
        })

    table(0).to_parquet(tmp_path / "a.parquet")
    table(1).to_parquet(tmp_path / "b.parquet")
    return tmp_path


def test_a_drift_report_shows_what_drifted_first_and_takes_no_name_for_markup(tables):
    out = tables / "drift.html"
    done = run("drift", tables / "a.parquet", tables / "b.parquet", "--profile", "evidently", "--html", out, "--fail-on-drift", "--output", "json", code=1)
    found = json.loads(done.stdout)
    text = out.read_text()
    page = Page(text)
    assert not {"script", "img", "b", "link", "iframe"} & set(page.tags)
    assert not {name for name in page.attributes if name.startswith("on")} and not {"src", "href"} & page.attributes
    assert "\u202e" not in text and "http:" not in text and "https:" not in text
    assert page.tags.count("svg") == 4 and page.tags.count("article") == 4
    drifted = [c["name"] for c in found["columns"] if c["finding"]["verdict"] == "drift"]
    assert len(drifted) == 3 and "3 of 4 columns drifted" in page.text
    assert page.text.rindex("steady") > page.text.rindex("plan"), "what drifted comes first"
    # A share that pandas counts is in the table behind the chart.
    share = (pandas.read_parquet(tables / "b.parquet")["plan"] == "gold").mean()
    assert f"{share:.1%}".replace("%", " %") in page.text
    assert "mainspring drift" in page.text and "--profile evidently" in page.text


def test_a_profile_stands_for_its_file(tables):
    run("profile", tables / "a.parquet", "-o", tables / "profile.json")
    run("drift", tables / "profile.json", tables / "b.parquet", "--html", tables / "drift.html")
    assert Page((tables / "drift.html").read_text()).tags.count("svg") == 4


def test_tables_without_rows_and_with_thousands_of_columns_have_reports(tmp_path):
    empty = pandas.DataFrame({"a": pandas.Series([], dtype=float), "b": pandas.Series([], dtype=str)})
    empty.to_parquet(tmp_path / "empty.parquet")
    run("drift", tmp_path / "empty.parquet", tmp_path / "empty.parquet", "--html", tmp_path / "empty.html")
    assert "not compared" in Page((tmp_path / "empty.html").read_text()).text
    rng = numpy.random.default_rng(1)
    for side in "ab":
        pandas.DataFrame(rng.normal(size=(60, 3_000)), columns=[f"c{i}" for i in range(3_000)]).to_parquet(tmp_path / f"{side}.parquet")
    run("drift", tmp_path / "a.parquet", tmp_path / "b.parquet", "--profile", "evidently", "--html", tmp_path / "wide.html")
    page = Page((tmp_path / "wide.html").read_text())
    assert page.tags.count("article") == 200 and "of 3000" in page.text
    assert (tmp_path / "wide.html").stat().st_size < 3_000_000


def test_a_validation_names_the_rows(tables):
    suite = {"expectations": [
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "plan", "value_set": ["basic", "gold"]}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}},
    ]}
    (tables / "suite.json").write_text(json.dumps(suite))
    run("validate", tables / "b.parquet", "--suite", tables / "suite.json", "--html", tables / "v.html", code=1)
    page = Page((tables / "v.html").read_text())
    assert "1 of 2 expectations kept" in page.text and "<b>new</b>" in page.text and "b" not in page.tags


def test_a_browser_draws_it_without_a_word_of_complaint(tables):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    run("drift", tables / "a.parquet", tables / "b.parquet", "--html", tables / "drift.html")
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,900", f"--user-data-dir={tables / 'profile'}",
                           "--enable-logging=stderr", "--v=0", "--dump-dom", f"file://{tables / 'drift.html'}"],
                          capture_output=True, text=True, timeout=120)
    assert "<svg" in done.stdout and "alert(1)" in done.stdout
    assert "CONSOLE" not in done.stderr, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
