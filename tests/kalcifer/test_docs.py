"""What the pages say about the code is so."""

import re

from flows.errors import InvalidGraph
from kalcifer import problems
from tests.support.processes import ROOT


def test_every_variable_of_the_environment_is_documented():
    sources = "".join(path.read_text() for path in (ROOT / "kalcifer/settings").glob("*.py"))
    read = set(re.findall(r"""\b(?:text|integer|number|flag|words|required)\(["']([A-Z_]+)["']""", sources))

    documented = {"PYTEST_XDIST_WORKER"} | set(
        re.findall(r"`([A-Z][A-Z_]+[A-Z])`", (ROOT / "docs/reference/settings.md").read_text())
    )

    assert read ^ documented == set()


def test_every_page_is_in_the_index():
    docs = ROOT / "docs"

    listed = set(re.findall(r"\]\(([^)]+\.md)\)", (docs / "README.md").read_text()))

    assert listed == {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"README.md"}


def test_every_link_between_pages_leads_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^):#]+)[)#]", page.read_text())]

    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_every_code_of_an_error_is_documented():
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs/reference/errors.md").read_text()))
    # A graph is refused with the codes of its problems, a base by the class that is raised.
    answered = [kind for kind in problems.STATUS_FOR if kind is not InvalidGraph and not kind.__subclasses__()]

    assert [kind.__name__ for kind in answered if kind.code not in documented] == []
