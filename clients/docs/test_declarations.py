"""Every declaration in the documentation is one that the server takes."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.S | re.M)


def declarations():
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        for n, block in enumerate(BLOCK.findall(page.read_text())):
            if re.search(r"^kind:", block, re.M):
                yield pytest.param(block, id=f"{page.relative_to(ROOT)}:{n}")
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        yield pytest.param(path.read_text(), id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize("declaration", declarations())
def test_the_server_takes_it(server, declaration):
    assert server.cli("diff", "-f", "-", stdin=declaration)


def test_an_unknown_key_is_refused_with_its_place(server):
    document = "apiVersion: mainspring/v1\nkind: Deployment\nname: churn\nmodel: models:/churn/1\nlimts: {}\n"
    done = server.cli("diff", "-f", "-", stdin=document, check=False)
    assert done.returncode == 2
    assert "limts" in done.stderr and "limits" in done.stderr and "5" in done.stderr
