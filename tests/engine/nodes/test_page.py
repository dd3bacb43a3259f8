"""A node type of one's own, as the page about it says."""

import re

from engine.nodes import registry
from engine.nodes.outcomes import Branched
from tests.engine.nodes.steps import execute
from tests.support.processes import ROOT

PAGE = ROOT / "docs/howto/add-a-node.md"


def test_the_page_makes_a_node_type_that_works():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with registry.preserved():
        exec(compile(example, str(PAGE), "exec", dont_inherit=True), {"__name__": "coin"})

        assert execute("coin", {}, entry={"number": 3}) == Branched("tails", {"even": False})
        assert execute("coin", {"field": "n"}, entry={"n": 4}) == Branched("heads", {"even": True})


def test_the_page_names_the_folders_that_there_are():
    (named,) = re.findall(r"Folders: (.*?)\. At most", PAGE.read_text(), re.DOTALL)
    top = ROOT / "engine/nodes"
    holding = {
        str(file.parent.relative_to(top))
        for file in top.rglob("*.py")
        if file.parent != top and "@registry.node" in file.read_text()
    }

    assert set(re.findall(r"`([a-z/]+)`", named)) == holding
