"""The dashboard for Grafana: in its own schema, with queries that Prometheus takes."""

import json
import re
import shutil
import subprocess

import pytest
from mainspring_server import binary


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(subprocess.run([binary(), "dashboard"], capture_output=True, text=True, check=True).stdout)


def within(ours, theirs, path=""):
    """Everything of ours is in theirs, in the same place."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            assert key in theirs, f"{path}.{key} is not in the schema"
            within(value, theirs[key], f"{path}.{key}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), path
        for at, (one, other) in enumerate(zip(ours, theirs)):
            within(one, other, f"{path}[{at}]")
    else:
        assert ours == theirs, path


def test_grafanas_own_schema_knows_every_part_of_it(dashboard):
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    read = Dashboard.from_json(dashboard)
    within(dashboard, json.loads(JSONEncoder().encode(read)))
    panels = [panel for panel in read.panels if panel.type_val == "timeseries"]
    assert len(panels) > 10 and all(panel.targets for panel in panels)


def test_prometheus_takes_its_queries(dashboard, tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt: prometheus)")
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    queries += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    filled = [query.replace("$__rate_interval", "1m").replace("$deployment", ".+") for query in queries]
    assert not [query for query in filled if re.search(r"\$", query)]
    rules = [{"record": f"panel:{at}", "expr": query} for at, query in enumerate(filled)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    checked = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True)
    assert checked.returncode == 0 and f"{len(rules)} rules found" in checked.stdout, checked.stdout + checked.stderr
