"""Many sagas, one journal: what stops one of them stops no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections, transaction

from engine import Saga, SagaStep, WorkflowEngine, current_saga_id
from engine.errors import SagaFailed, SagaRunning
from engine.models import SagaRun
from engine.sagas.local import pilot as pilots
from engine.sagas.local.journal import journal
from engine.sagas.local.news import Look
from tests.engine.sagas.local.conftest import Diary, log_of, row

Register = Callable[..., Saga]

CUT_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# What a sick database would say to one saga's event alone.
REFUSE_ONE = """
    CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        IF NEW.metadata->>'saga_id' = 'order-7' AND NEW.type = 'step_completed' THEN
            RAISE EXCEPTION 'not this one' USING ERRCODE = 'data_exception';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse_one BEFORE INSERT ON stored_events FOR EACH ROW EXECUTE FUNCTION refuse_one();
"""
ALLOW_ALL = "DROP TRIGGER refuse_one ON stored_events; DROP FUNCTION refuse_one()"


def names(many: int) -> list[str]:
    return [f"order-{number}" for number in range(many)]


async def all_of(engine: WorkflowEngine, many: int) -> list[Any]:
    return await asyncio.gather(*(engine.execute_saga(name) for name in names(many)), return_exceptions=True)


def test_a_hundred_sagas_that_fail_together_are_all_undone(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    for name in names(100):
        register(
            diary.step(f"{name} a"),
            SagaStep("b", lambda: None, lambda: None),
            diary.step("x", fails=ValueError("no"), after=[f"{name} a", "b"]),
            saga_id=name,
        )

    results = asyncio.run(all_of(engine, 100))

    assert {type(result) for result in results} == {SagaFailed}
    assert set(SagaRun.objects.values_list("status", flat=True)) == {"COMPENSATED"}
    assert sorted(diary.undone()) == sorted(f"{name} a" for name in names(100))


def test_one_saga_is_executed_once_however_many_ask(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("stock"))

    async def act() -> list[Any]:
        return await asyncio.gather(*(engine.execute_saga("order-1") for _ in range(10)), return_exceptions=True)

    results = asyncio.run(act())

    assert results.count(["stock done"]) == 1
    assert all(isinstance(result, SagaRunning) for result in results if result != ["stock done"])
    assert diary.done() == ["stock"]


def test_two_tenants_use_one_id(engine: WorkflowEngine, diary: Diary, register: Register, other_tenant: Any) -> None:
    theirs = WorkflowEngine(other_tenant)
    register(diary.step("ours"))
    theirs.register_saga(Saga("order-1").add_step(diary.step("theirs")))

    assert engine.execute_saga_sync("order-1") == ["ours done"]
    assert theirs.execute_saga_sync("order-1") == ["theirs done"]
    assert theirs.get_saga_status_sync("order-1")["steps_completed"] == ["theirs"]


def test_connections_that_break_cost_time_and_nothing_else(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    """Each step cuts every connection but its own, so that commits break before, during and after them."""

    def cut() -> str:
        diary.entries.append(f"{current_saga_id.get()}")
        with one_at_a_time, connection.cursor() as cursor:
            cursor.execute(CUT_ALL)
            connection.close()
        return "cut"

    one_at_a_time = threading.Lock()

    for name in names(10):
        register(SagaStep("a", cut), SagaStep("b", cut, after="a"), diary.step("c", after="b"), saga_id=name)

    results = asyncio.run(all_of(engine, 10))
    connection.close()

    assert results == [["cut", "cut", "c done"]] * 10
    assert sorted(diary.entries) == sorted([*names(10), *names(10), *["c"] * 10])


def test_what_the_database_refuses_of_one_saga_is_that_sagas_trouble(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    for name in names(10):
        register(diary.step("stock"), saga_id=name)

    with connection.cursor() as cursor:
        cursor.execute(REFUSE_ONE)
    try:
        results = asyncio.run(all_of(engine, 10))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(ALLOW_ALL)

    assert [index for index, result in enumerate(results) if result != ["stock done"]] == [7]
    assert "not this one" in str(results[7])
    assert row("order-7").status == "RUNNING"
    assert engine.execute_saga_sync("order-7") == ["stock done"]


def test_a_row_that_somebody_holds_keeps_no_other_saga_waiting(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            SagaRun.objects.select_for_update(no_key=True).get(name="order-0")
            held.set()
            release.wait(60)
        connections.close_all()

    def wait_until_held() -> None:
        holder.start()
        held.wait(60)

    holder = threading.Thread(target=hold)
    register(SagaStep("first", wait_until_held), diary.step("last", after="first"), saga_id="order-0")
    for name in names(20)[1:]:
        register(diary.step("a"), diary.step("b", after="a"), saga_id=name)

    async def act() -> None:
        slow = asyncio.create_task(engine.execute_saga("order-0"))
        await asyncio.to_thread(held.wait, 20)
        others = await asyncio.gather(*(engine.execute_saga(name) for name in names(20)[1:]))
        assert others == [["a done", "b done"]] * 19
        assert not slow.done()
        release.set()
        assert await slow == [None, "last done"]

    asyncio.run(act())
    holder.join(60)


def test_a_name_that_is_being_taken_keeps_no_other_saga_waiting(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    for name in names(20):
        register(diary.step("a"), saga_id=name)

    async def act() -> None:
        undecided = asyncio.create_task(engine.execute_saga("order-0"))
        others = await asyncio.gather(*(engine.execute_saga(name) for name in names(20)[1:]))
        assert others == [["a done"]] * 19
        assert not undecided.done()
        release.set()
        assert await undecided == ["a done"]

    taken, release = threading.Event(), threading.Event()

    def take_and_give_back() -> None:
        with transaction.atomic():
            engine.start_saga_sync(Saga("x").add_step(SagaStep("a", len, args=([],))), "order-0")
            taken.set()
            release.wait(60)
            transaction.set_rollback(True)
        connections.close_all()

    holder = threading.Thread(target=take_and_give_back)
    holder.start()
    taken.wait(60)
    asyncio.run(act())
    holder.join(60)


def test_a_database_that_stays_away_is_told_to_the_caller(
    engine: WorkflowEngine, diary: Diary, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is as long as the saga's own time; what is in the log stays for whoever comes next."""
    monkeypatch.setattr(pilots, "PATIENCE_S", 1.0)
    settings = connection.settings_dict
    name = settings["NAME"]

    def lose() -> None:
        with connection.cursor() as cursor:
            settings["NAME"] = "gone"
            cursor.execute(CUT_ALL)

    connection.ensure_connection()
    register(SagaStep("a", diary.action("a")), SagaStep("lost", lose, after="a"))
    try:
        with pytest.raises(Exception, match=r"gone|terminat|closed"):
            engine.execute_saga_sync("order-1")
    finally:
        settings["NAME"] = name
        connection.close()

    assert log_of()[-1] == "step_started lost"


def test_an_idle_process_has_no_thread_of_the_journal(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("stock"))
    engine.execute_saga_sync("order-1")

    journal.close()

    assert not [each.name for each in threading.enumerate() if each.name.startswith("kalcifer-saga-")]


def test_news_of_a_saga_that_is_over_are_nothing(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    async def act() -> None:
        register(diary.step("stock"))
        executing = asyncio.create_task(engine.execute_saga("order-1"))
        await asyncio.sleep(0)
        (pilot,) = engine._pilots.values()
        await executing
        journal.tell(pilot, Look())
        assert pilot.news == []

    asyncio.run(act())
