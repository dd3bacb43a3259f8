"""Two profiles that are one person become one, with their runs."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from engine import event_router, inbox
from marketing.models import Consent, Customer
from tests.marketing.customers.test_profiles_in_flows import line, node
from tests.support.passage import Passage, run_until_idle

URL = "/api/v1/customers/{external_id}/merge"


def waiting_graph():
    graph = line(node("wait", "wait_for_event", {"event_type": "reply", "timeout": "3d"}))
    graph["edges"] = [edge for edge in graph["edges"] if edge["source"] != "wait"]
    for branch in ("event_received", "timed_out"):
        graph["edges"].append({"source": "wait", "target": "done", "branch": branch})
    return graph


@pytest.fixture
def two(customer):
    customer(
        "anon",
        name="A.",
        phone="+491511234567",
        properties={"a": 1, "b": 1},
        tags=["x", "y"],
        preferences={"email": {"news": False, "tips": True}},
    )
    customer("ada", name="Ada", properties={"b": 2, "c": 3}, tags=["y", "z"], preferences={"email": {"news": True}})


def test_the_known_profile_goes_on_with_what_both_were(agree, api, two, tenant, fake_time):
    for who, topic, status in (("anon", "news", "granted"), ("anon", "tips", "granted"), ("ada", "news", "denied")):
        Consent.objects.create(tenant=tenant, participant_id=who, topic=topic, status=status, at=fake_time())

    found = agree(api, "post", URL, {"into": "ada"}, external_id="anon").json()

    assert (found["external_id"], found["name"], found["phone"]) == ("ada", "Ada", "+491511234567")
    assert found["properties"] == {"a": 1, "b": 2, "c": 3}
    assert found["tags"] == ["y", "z", "x"]
    assert found["preferences"] == {"email": {"news": False, "tips": True}}
    assert set(Consent.objects.values_list("participant_id", "topic", "status")) == {
        ("ada", "news", "denied"),
        ("ada", "tips", "granted"),
    }
    assert api.get("/api/v1/customers/anon").json()["external_id"] == "ada"
    assert api.post("/api/v1/customers/anon/merge", {"into": "ada"}).json() == found


def test_live_runs_go_on_for_the_known_one(api, two, passage, tenant):
    anon = passage(waiting_graph(), "anon").start()

    api.post("/api/v1/customers/anon/merge", {"into": "ada"})
    inbox.publish_event("ada", "reply", tenant=tenant)
    event_router.route(slice_s=10)
    run_until_idle()

    assert (anon.status, anon.instance.participant_id) == ("completed", "ada")
    assert anon.event_types.count("handed_over") == 1
    call_command("verify")
    story = api.get(f"/api/v1/instances/{anon.id}/timeline").json()["results"]
    assert "Was anon, is ada." in [entry["detail"] for entry in story]


def test_where_both_are_in_a_flow_the_known_ones_run_stays(api, two, passage):
    known = passage(waiting_graph(), "ada").start()
    other = Passage(known.flow, "anon").start()

    api.post("/api/v1/customers/anon/merge", {"into": "ada"})

    assert (known.status, other.status) == ("waiting", "exited")
    assert other.instance.exit_reason == "merged"
    call_command("verify")


def test_what_a_run_of_the_old_id_writes_is_the_known_ones(api, two, passage):
    api.post("/api/v1/customers/anon/merge", {"into": "ada"})

    passage(line(node("tag", "add_tag", {"tag": "late"})), "anon").start()

    assert "late" in Customer.objects.get(external_id="ada").tags
    assert Customer.objects.get(external_id="anon").tags == []


def test_merges_follow_each_other_in_one_hop(api, two, customer):
    customer("device")
    api.post("/api/v1/customers/device/merge", {"into": "anon"})
    api.post("/api/v1/customers/anon/merge", {"into": "ada"})

    assert api.get("/api/v1/customers/device").json()["external_id"] == "ada"


@pytest.mark.parametrize(
    ("who", "into", "status"), [("anon", "anon", 409), ("anon", "gone", 409), ("gone", "ada", 404)]
)
def test_what_cannot_be_merged_is_refused_and_changes_nothing(api, two, who, into, status):
    assert api.post(f"/api/v1/customers/{who}/merge", {"into": into}).status_code == status
    assert set(Customer.objects.values_list("state", flat=True)) == {"active"}


def test_another_tenants_customer_is_nobody_to_merge_into(api, two, customer, other_tenant):
    customer("theirs", tenant=other_tenant)

    assert api.post("/api/v1/customers/anon/merge", {"into": "theirs"}).status_code == 409
