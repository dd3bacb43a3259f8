"""Journeys as marketers wrote them, with everything that they name."""

from typing import Any

import pytest

from engine import ports
from flows import publishing
from marketing.journeys import catalog, lifecycle
from tests.journeys import world
from tests.journeys.world import Shop
from tests.marketing.deliveries.conftest import *  # noqa: F403 - the same language


@pytest.fixture
def launched(tenant, post):
    def make(name: str) -> Any:
        graph = world.read(name)
        world.furnish(tenant, graph)
        world.settle()
        found = publishing.validate(graph, tenant)
        assert [problem.as_json() for problem in found.errors] == []
        return lifecycle.launch(catalog.create(tenant, graph["name"], graph=graph)).journey

    with ports.binding(http=Shop()):
        yield make
