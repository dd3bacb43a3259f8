"""A worker that dies at any point of a saga leaves one that another worker carries on, or undoes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine import activities
from engine.models import Activity, SagaRun, StoredEvent
from engine.sagas import controls, starting
from engine.sagas.builder import Saga, SagaStep
from kalcifer.supervisor import Supervisor
from tenants.models import Tenant
from tests.stories.test_everything_survives_a_kill import forget_every_doorbell
from tests.support.hostile import errands
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

pytestmark = pytest.mark.processes


def errand(folder: Path, word: str, *after: str, action: Callable[..., object] = errands.run) -> SagaStep:
    return SagaStep(word, action, errands.take_back, args=[str(folder), word], after=after)


def start(tenant: Tenant, *steps: SagaStep, name: str = "order-1", timeout: float | None = None) -> None:
    starting.start_saga_sync(Saga(name, steps=list(steps)), name, tenant=tenant, timeout=timeout)


def state_of(name: str = "order-1") -> str:
    return SagaRun.objects.get(name=name).status


def calls_of(folder: Path, word: str) -> list[str]:
    trace = folder / word
    return trace.read_text().split() if trace.exists() else []


def test_whatever_is_under_way_when_the_workers_die_is_done_again_with_its_key(
    tenant: Tenant, workers: Callable[..., Supervisor], tmp_path: Path
) -> None:
    stages = ["a", "b", "c", "not-b", "not-a"]
    running = workers("activities", "sweeper", activity_slots=len(stages))
    for stage in stages:
        folder = tmp_path / stage
        folder.mkdir()
        (folder / f"gate-{stage}").touch()
        steps = [errand(folder, "a"), errand(folder, "b", "a"), errand(folder, "c", "b", action=errands.refuse)]
        start(tenant, *steps, name=stage)
    for stage in stages:
        wait_for(lambda stage=stage: calls_of(tmp_path / stage, stage), seconds=60, what=f"{stage} to be under way")

    running.kill("activities")
    forget_every_doorbell()
    for stage in stages:
        (tmp_path / stage / f"gate-{stage}").unlink()
    wait_for(lambda: {state_of(stage) for stage in stages} == {"COMPENSATED"}, seconds=90, what="all to be undone")

    for stage in stages:
        calls = {word: calls_of(tmp_path / stage, word) for word in stages}
        assert {word: len(keys) for word, keys in calls.items()} == dict.fromkeys(stages, 1) | {stage: 2}
        assert all(len(set(keys)) == 1 for keys in calls.values())
        saga = SagaRun.objects.get(name=stage)
        undone = StoredEvent.objects.filter(aggregate_id=saga.pk, type="step_compensated").order_by("sequence")
        # Nobody knows what the attempt did that was under way: the last step counts as done, though the next failed.
        assert [each.data["step"] for each in undone] == [*(["c"] if stage == "c" else []), "b", "a"]
    assert_all_sound()


def test_a_step_that_kills_its_workers_is_given_up_and_undone_with_what_was_done(
    tenant: Tenant, workers: Callable[..., Supervisor], tmp_path: Path
) -> None:
    workers("activities", "sweeper")
    start(tenant, errand(tmp_path, "a"), errand(tmp_path, "bomb", "a", action=errands.die))
    for number in range(20):
        start(tenant, errand(tmp_path, f"other-{number}"), name=f"other-{number}")

    wait_for(lambda: state_of() == "COMPENSATED", seconds=90, what="the bomb's saga to be undone")
    wait_for(
        lambda: SagaRun.objects.filter(status="COMPLETED").count() == 20, seconds=30, what="the others to be completed"
    )

    assert len(calls_of(tmp_path, "bomb")) == 3
    assert calls_of(tmp_path, "not-bomb")
    assert calls_of(tmp_path, "not-a")
    bomb = controls.get_saga_status_sync("order-1", tenant=tenant)["steps"][1]
    assert (bomb["state"], bomb["error"]["code"]) == ("unknown", "quarantined")
    assert not Activity.objects.filter(status="parked").exists()
    assert_all_sound()


def test_nothing_is_undone_while_a_step_still_runs_elsewhere(
    tenant: Tenant, workers: Callable[..., Supervisor], tmp_path: Path
) -> None:
    workers("activities", "sweeper")
    (tmp_path / "gate-slow").touch()
    start(tenant, errand(tmp_path, "quick"), errand(tmp_path, "slow"))
    wait_for(lambda: calls_of(tmp_path, "slow") and calls_of(tmp_path, "quick"), seconds=30, what="both to run")
    wait_for(lambda: Activity.objects.filter(status="completed").exists(), seconds=30, what="the quick one to be done")

    assert controls.cancel_saga_sync("order-1", tenant=tenant)["state"] == "RUNNING"
    assert not calls_of(tmp_path, "not-quick")

    (tmp_path / "gate-slow").unlink()
    wait_for(lambda: state_of() == "COMPENSATED", seconds=30, what="the saga to be undone")
    undone = StoredEvent.objects.filter(type="step_compensated").order_by("sequence")
    assert [each.data["step"] for each in undone] == ["slow", "quick"]
    assert_all_sound()


def test_a_saga_ends_within_a_second_or_so_of_its_time_limit(
    tenant: Tenant, workers: Callable[..., Supervisor], tmp_path: Path
) -> None:
    workers("advance", "activities", "sweeper")
    (tmp_path / "gate-slow").touch()
    start(tenant, errand(tmp_path, "slow"), errand(tmp_path, "never", "slow"), timeout=1.5)

    wait_for(lambda: SagaRun.objects.get().ending, seconds=60, what="the time to be up")
    (tmp_path / "gate-slow").unlink()
    wait_for(lambda: state_of() == "COMPENSATED", seconds=30, what="the saga to be undone")

    run = SagaRun.objects.get()
    ended = StoredEvent.objects.get(type="saga_ending").recorded_at
    assert run.ending["cause"] == "timeout"
    assert run.deadline_at is not None
    assert 0 <= (ended - run.deadline_at).total_seconds() < 3
    assert calls_of(tmp_path, "never") == []
    assert_all_sound()


def test_sagas_that_were_begun_while_no_worker_was_there_are_found(
    tenant: Tenant, workers: Callable[..., Supervisor], tmp_path: Path
) -> None:
    for number in range(50):
        start(tenant, errand(tmp_path, "a"), errand(tmp_path, "b", "a"), name=f"order-{number}")
    forget_every_doorbell()
    assert activities.is_pending()

    workers("activities", "sweeper")

    wait_for(
        lambda: SagaRun.objects.filter(status="COMPLETED").count() == 50, seconds=60, what="all sagas to be completed"
    )
    assert len(calls_of(tmp_path, "a")) == 50
    assert_all_sound()
