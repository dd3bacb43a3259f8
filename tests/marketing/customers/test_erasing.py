"""Erasing a person: out of every flow, and nothing left of what they said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from engine import event_router, inbox
from engine.models import EventSubscription, FlowSchedule, InboundEvent, Job, ScheduledWork, StoredEvent
from engine.workflow_scheduler import WorkflowScheduler
from flows.models import ExecutionStep, FlowInstance
from marketing.customers import erasure
from marketing.models import Consent, ConsentChange, Coupon, CouponPool, Customer, Delivery
from tests.marketing.customers.test_profiles_in_flows import line, news, node

__all__ = ["news"]

SECRET = "s3cret-of-ada"


def everything_kept():
    """Every text in every table, as one."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} AS t")
            found.append((table, cursor.fetchone()[0]))
    return found


@pytest.fixture
def life(passage, customer, tenant, news, fake_time):
    """Ada, with a run that is over, one that waits, one that failed, events, a consent and a message in the queue."""
    customer(SECRET, email=f"{SECRET}@example.com", name=SECRET, properties={"x": SECRET}, tags=[SECRET])
    consent = node("say", "update_profile", {"fields": {"consent.news.status": "granted", "y": {"ref": "entry.word"}}})
    wait = node("wait", "wait_for_event", {"event_type": "reply", "timeout": "3d"})
    graph = line(consent, wait)
    graph["edges"] = [edge for edge in graph["edges"] if edge["source"] != "wait"]
    graph["edges"] += [
        {"source": "wait", "target": "done", "branch": branch} for branch in ("event_received", "timed_out")
    ]
    over = passage(graph, SECRET).start(context={"word": SECRET})
    inbox.publish_event(SECRET, "reply", data={"text": SECRET}, tenant=tenant)
    event_router.route(slice_s=10)
    waiting = passage(graph, SECRET).start(context={"word": SECRET})
    failed = passage(line(node("t", "add_tag", {"tag": {"ref": "entry.none"}})), SECRET).start(context={"word": SECRET})
    Delivery.objects.create(
        tenant=tenant, key="k", participant_id=SECRET, channel="email", recipient=f"{SECRET}@example.com",
        payload={"text": SECRET}, history=[{"status": "queued", "at": "x", "detail": SECRET}], created_at=fake_time(),
    )  # fmt: skip
    return over, waiting, failed


def test_nothing_is_left_of_a_person_but_what_happened(api, agree, life):
    over, waiting, failed = life
    assert [each.status for each in life] == ["completed", "waiting", "failed"]
    shape = list(StoredEvent.objects.order_by("position").values_list("aggregate_id", "sequence", "type", "tx"))

    answer = agree(api, "delete", "/api/v1/customers/{external_id}", external_id=SECRET)
    while erasure.erase_one():
        pass

    assert answer.status_code == 202
    assert [table for table, text in everything_kept() if SECRET in text] == []
    job = api.get(f"/api/v1/jobs/{answer.json()['job_id']}").json()
    assert (job["status"], job["done"]) == ("completed", 1)
    kept = list(StoredEvent.objects.order_by("position").values_list("aggregate_id", "sequence", "type", "tx"))
    assert kept[: len(shape)] == shape
    assert (waiting.status, waiting.instance.exit_reason) == ("exited", "participant_deleted")
    assert (over.status, failed.status) == ("completed", "failed")
    assert over.path == ["entry", "say", "wait", "done"]
    assert Delivery.objects.get().status == "cancelled"
    assert not EventSubscription.objects.exists()
    assert not Consent.objects.exists()
    pseudonym = erasure.pseudonym_of(over.instance.tenant_id, SECRET)
    assert ConsentChange.objects.get().participant_id == pseudonym
    assert set(FlowInstance.objects.values_list("participant_id", flat=True)) == {pseudonym}
    assert InboundEvent.objects.filter(participant_id=pseudonym).exists()
    assert ExecutionStep.objects.exclude(output={}).exclude(output=None).count() == 0


def test_the_redacted_log_still_says_what_the_rows_say(api, life, tenant):
    api.delete(f"/api/v1/customers/{SECRET}")
    while erasure.erase_one():
        pass

    # Leaves with an error where any row is not what its events say.
    call_command("verify")

    FlowInstance.objects.filter(tenant=tenant).update(participant_id="somebody else")
    with pytest.raises(SystemExit):
        call_command("verify")


def test_an_erased_customer_is_not_there_and_the_id_is_free(api, customer):
    customer()
    api.delete("/api/v1/customers/ada")
    assert api.patch("/api/v1/customers/ada", {"name": "x"}).json()["errors"][0]["code"] == "being_erased"
    again = api.delete("/api/v1/customers/ada").json()
    assert again["job_id"] == str(Job.objects.get().pk)
    erasure.erase_one()

    assert api.get("/api/v1/customers/ada").status_code == 404
    assert api.get("/api/v1/customers").json()["results"] == []
    assert api.post("/api/v1/customers", {"external_id": "ada"}).status_code == 201
    api.delete("/api/v1/customers/ada")
    erasure.erase_one()
    assert Customer.objects.get().state == "erased"


def test_others_keep_what_is_theirs(api, customer, passage, tenant, other_tenant):
    customer("ada")
    customer("bob", properties={"x": 1})
    customer("ada", tenant=other_tenant, properties={"x": 2})
    bob = passage(line(node("say", "update_profile", {"fields": {"y": {"ref": "entry.word"}}})), "bob")
    bob.start(context={"word": "hello"})

    api.delete("/api/v1/customers/ada")
    erasure.erase_one()

    assert bob.instance.context["entry"] == {"word": "hello"}
    assert Customer.objects.for_tenant(tenant).get(external_id="bob").properties == {"x": 1, "y": "hello"}
    assert Customer.objects.for_tenant(other_tenant).get().properties == {"x": 2}


def test_the_log_refuses_every_other_change(life):
    for change in ("type = 'other'", "sequence = 99", "data = '{}', type = 'other'"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('kalcifer.redacting', 'on', true)")
            cursor.execute(f"UPDATE stored_events SET {change}")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE stored_events SET data = '{}'")


def test_everything_of_a_person_can_be_had_as_one_document(agree, api, life, client_of, other_tenant):
    found = agree(api, "get", "/api/v1/customers/{external_id}/export", external_id=SECRET).json()

    assert found["profile"]["external_id"] == SECRET
    assert len(found["instances"]) == 3
    assert [each["event_type"] for each in found["events"]] == ["reply"]
    assert found["consents"][0]["status"] == "granted"
    assert len(found["consent_changes"]) == len(found["deliveries"]) == 1
    assert {"say", "wait"} <= {step["node_id"] for step in found["steps"]}
    assert client_of(other_tenant).get(f"/api/v1/customers/{SECRET}/export").status_code == 404


def test_a_persons_coupons_are_part_of_the_document_and_found_by_an_index(api, customer, tenant, fake_time):
    customer(SECRET)
    pool = CouponPool.objects.create(tenant=tenant, slug="ten", created_at=fake_time())
    Coupon.objects.create(tenant=tenant, pool=pool, code="X1", key="m", participant_id=SECRET, taken_at=fake_time())
    Coupon.objects.create(tenant=tenant, pool=pool, code="X2")

    found = api.get(f"/api/v1/customers/{SECRET}/export").json()["coupons"]

    assert [(each["pool__slug"], each["code"]) for each in found] == [("ten", "X1")]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT FROM coupons WHERE tenant_id = %s AND participant_id = %s", [tenant.pk, SECRET])
        assert "coupon_by_participant" in str(cursor.fetchall())


def test_no_schedule_names_who_is_erased(api, customer, passage, tenant):
    customer(SECRET)
    flow = passage(line(node("t", "add_tag", {"tag": "x"})), SECRET).flow
    facts = {"tenant": tenant, "flow": flow, "kind": "once", "next_at": "2040-01-01T00:00:00Z"}
    alone = FlowSchedule.objects.create(participants=[SECRET], context={"word": SECRET}, **facts)
    among = FlowSchedule.objects.create(participants=["bob", SECRET, "eve"], context={"x": 1}, **facts)

    api.delete(f"/api/v1/customers/{SECRET}")
    erasure.erase_one()

    alone.refresh_from_db()
    among.refresh_from_db()
    assert (alone.participants, alone.enabled, alone.context) == ([], False, {})
    assert (among.participants, among.enabled, among.context) == (["bob", "eve"], True, {"x": 1})


def test_no_start_that_was_promised_names_who_is_erased(api, customer, passage, tenant, fake_time):
    customer(SECRET)
    flow = passage(line(node("t", "add_tag", {"tag": "x"})), SECRET).flow
    scheduler = WorkflowScheduler(tenant)
    scheduler.schedule_flow_sync(flow, SECRET, {"word": SECRET}, at=fake_time() + timedelta(days=1))

    api.delete(f"/api/v1/customers/{SECRET}")
    erasure.erase_one()

    assert ScheduledWork.objects.get().status == "cancelled"
    assert [table for table, text in everything_kept() if SECRET in text] == []
