"""Providers of one's own, as the page about them says."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from engine import plugins
from marketing.channels import registry
from marketing.channels.provider import Accepted, Transient
from marketing.channels.registry import InvalidProvider, UnknownProvider
from tests.marketing.channels.conftest import Answer, account, message

PAGE = Path(__file__).parents[3] / "docs/howto/add-a-provider.md"
WHISTLE = "a whistle of sixteen"


@pytest.fixture
def pigeon() -> Any:
    names: dict[str, Any] = {"__name__": "pigeon"}
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(example, str(PAGE), "exec", dont_inherit=True), names)
    return names["Pigeon"]


def test_the_page_makes_a_provider_that_works(pigeon, service):
    loft = account("pigeon", "sms", {"loft": service.url}, {"whistle": WHISTLE})
    service.says(Answer(200, {"ring": "r-1"}), Answer(503))

    verdicts = [loft.provider.send_many(loft, [message("sms", "+49")])[0] for _ in range(2)]

    assert verdicts == [Accepted("r-1"), Transient("http_503")]
    assert service.asked[0].headers["whistle"] == WHISTLE


def test_a_provider_is_registered_once_and_whole(pigeon):
    registry.register(pigeon)
    assert registry.get("pigeon") is registry.get("pigeon")

    with pytest.raises(InvalidProvider, match="registered twice"):
        registry.register(type("Other", (pigeon,), {}))
    with pytest.raises(InvalidProvider, match="unknown channels: smoke"):
        registry.register(type("Other", (pigeon,), {"name": "other", "channels": frozenset({"smoke"})}))
    with pytest.raises(InvalidProvider, match="lacks name, title"):
        registry.register(type("Nothing", (), {}))
    with pytest.raises(UnknownProvider):
        registry.get("nobody")


def test_an_installed_package_brings_its_own_and_a_broken_one_harms_nobody(pigeon, monkeypatch):
    found = [
        EntryPoint("bad", "no_such_module:X", registry.GROUP),
        EntryPoint("log", f"{__name__}:Installed", registry.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found)
    monkeypatch.setattr(f"{__name__}.Installed", type("Installed", (pigeon,), {"name": "installed"}), raising=False)
    monkeypatch.setattr(registry, "_loader", plugins.Loader([registry.BUILT_IN], registry.GROUP))

    assert registry.get("installed").title == "Carrier pigeon"


Installed: Any = None
