"""Whatever goes wrong with one participant, the others of its batch go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from engine import errors, event_router, triggers
from engine.execution import program
from engine.inbox import publish_event
from engine.nodes import registry
from engine.nodes.base import Category, EmptyConfig, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.support.graphs import ENTRY, chain, graph
from tests.support.passage import Passage, run_until_idle


class Moody(Node):
    """A node whose declaration breaks when a newer release of its package is installed."""

    type = "moody"
    category = Category.ACTION
    runs_as = RunsAs.INLINE
    Config = EmptyConfig
    is_broken: ClassVar[bool] = False

    def needs_of(self, config: Any) -> Any:
        if Moody.is_broken:
            raise RuntimeError("this release has a fault")
        return ()

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Completed({})


@pytest.fixture(autouse=True)
def fresh_programs() -> Iterator[None]:
    Moody.is_broken = False
    program.of_version.cache_clear()
    yield
    program.of_version.cache_clear()


def test_a_run_that_ends_while_a_branch_looks_back_has_ended(passage: Callable[..., Passage], tenant: Tenant) -> None:
    wait = {"event_type": "replied", "lookback": "since_entry"}
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: ["reply", "done"]}),
        "reply": ("wait_for_event", wait, {"event_received": "thanks", "timed_out": "thanks"}),
        "thanks": ("exit", {"reason": "replied"}),
        "done": ("exit", {"reason": "done"}),
    }
    publish_event("ada", "replied", tenant=tenant)
    event_router.route()
    bob = passage(chain(1), "bob")

    ada = passage(graph(nodes)).start()
    bob.start()

    assert (ada.status, ada.instance.exit_reason) == ("completed", "done")
    assert bob.status == "completed"


def test_a_version_that_cannot_be_compiled_fails_its_own_runs_only(flow_of: Callable[..., Flow]) -> None:
    registry.register(Moody)
    moody = {"entry": (*ENTRY, {None: "moody"}), "moody": ("moody", {}, {None: "done"}), "done": ("exit", {})}
    triggers.start(flow_of(graph(moody)), "ada")
    triggers.start(flow_of(chain(1)), "bob")
    Moody.is_broken = True
    program.of_version.cache_clear()

    run_until_idle()

    statuses = dict(FlowInstance.objects.values_list("participant_id", "status"))
    assert statuses == {"ada": "failed", "bob": "completed"}


def test_a_correlation_key_that_is_too_long_is_refused(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(chain(1, reentry="per_key", correlation_key="entry.cart_id"))

    with pytest.raises(errors.InvalidCorrelationKey):
        triggers.start(flow, "ada", context={"cart_id": "x" * 256})

    assert not FlowInstance.objects.exists()
