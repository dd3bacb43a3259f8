"""What the pages say about the code is so."""

import re

from tests.support.processes import ROOT


def test_every_variable_of_the_environment_is_documented():
    sources = "".join(path.read_text() for path in (ROOT / "kalcifer/settings").glob("*.py"))
    read = set(re.findall(r"""\b(?:text|integer|number|flag|words|required)\(["']([A-Z_]+)["']""", sources))

    documented = {"PYTEST_XDIST_WORKER"} | set(
        re.findall(r"`([A-Z][A-Z_]+[A-Z])`", (ROOT / "docs/reference/settings.md").read_text())
    )

    assert read ^ documented == set()
