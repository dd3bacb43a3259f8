"""Whatever goes wrong with one participant, the others of its batch go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import pytest

from engine import errors, event_router, triggers
from engine.execution import program, rows
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


def test_an_event_does_not_clear_a_run_of_its_workers_deaths(passage: Callable[..., Passage], tenant: Tenant) -> None:
    patient: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: ["reply", "look"]}),
        "reply": ("wait_for_event", {"event_type": "replied"}, {"event_received": "done", "timed_out": "done"}),
        "look": ("wait_for_event", {"event_type": "looked"}, {"event_received": "done", "timed_out": "done"}),
        "done": ("exit", {}),
    }
    ada = passage(graph(patient)).start()
    FlowInstance.objects.filter(pk=ada.id).update(deaths=2)

    for event_type in ("replied", "looked"):
        publish_event("ada", event_type, tenant=tenant)
        event_router.route()
        assert ada.instance.deaths == 2

    run_until_idle()
    assert (ada.status, ada.instance.deaths) == ("completed", 0)


def test_a_router_locks_all_runs_of_its_batch_in_one_order(
    passage: Callable[..., Passage], tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = ("wait_for_event", {"event_type": "replied"}, {"event_received": "done", "timed_out": "done"})
    flow = passage(graph({"entry": (*ENTRY, {None: "reply"}), "reply": wait, "done": ("exit", {})})).flow
    ada, bob = Passage(flow, "ada").start(), Passage(flow, "bob").start()
    for participant, event_type in (("ada", "seen"), ("bob", "replied"), ("ada", "replied")):
        publish_event(participant, event_type, tenant=tenant)
    locked: list[set[str]] = []
    lock = rows.lock

    def noted(ids: Iterable[str]) -> dict[str, rows.Row]:
        locked.append(set(ids))
        return lock(locked[-1])

    monkeypatch.setattr(rows, "lock", noted)

    event_router.route()

    assert locked[0] == {str(ada.id), str(bob.id)}
