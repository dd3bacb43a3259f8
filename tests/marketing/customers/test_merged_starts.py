"""Whoever is started under an id that was merged enters as the one that goes on, by whichever way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import clock, schedules, triggers
from engine.errors import ReentryRefused
from engine.models import FlowSchedule
from flows.models import FlowInstance
from marketing.customers import merging
from tests.marketing.customers.test_merging import waiting_graph
from tests.support.graphs import chain
from tests.support.passage import run_until_idle

URL = "/api/v1/flows/{flow_id}/trigger"


@pytest.fixture
def flow(customer, tenant, flow_of):
    for who in ("anon", "ada", "bob"):
        customer(who)
    merging.merge(tenant, "anon", "ada")
    return flow_of(waiting_graph())


def whose():
    return sorted(FlowInstance.objects.values_list("participant_id", flat=True))


def test_a_trigger_starts_the_run_of_the_known_one(agree, api, flow):
    first = agree(api, "post", URL, {"participant_id": "anon"}, flow_id=flow.pk)
    again = agree(api, "post", URL, {"participant_id": "ada"}, flow_id=flow.pk)

    assert first.status_code == 201
    assert (again.status_code, again.json()["instance_id"]) == (409, first.json()["instance_id"])
    assert whose() == ["ada"]


def test_of_many_each_person_enters_once_and_the_answer_has_the_ids_that_were_sent(agree, api, flow):
    body = {"participant_ids": ["anon", "bob", "ada"]}
    answer = agree(api, "post", URL, body, flow_id=flow.pk).json()

    assert whose() == ["ada", "bob"]
    assert answer["accepted"] == 2
    assert [(each["participant_id"], each["code"]) for each in answer["refused"]] in (
        [("ada", "already_in_flow")],
        [("anon", "already_in_flow")],
    )


@pytest.mark.parametrize("known", [False, True])
def test_who_has_been_in_a_flow_once_has_been_there_as_whom_they_are(customer, tenant, flow_of, known):
    for who in ("anon", "ada"):
        customer(who)
    flow = flow_of(chain(1, reentry="once"))
    triggers.start(flow, "anon")
    if known:
        triggers.start(flow, "ada")
    run_until_idle()

    merging.merge(tenant, "anon", "ada")

    for who in ("anon", "ada"):
        with pytest.raises(ReentryRefused):
            triggers.start(flow, who)


def test_a_schedule_that_lists_the_old_id_starts_the_known_one(flow, tenant):
    soon = clock.now() + timedelta(minutes=1)
    schedules.save(FlowSchedule(tenant=tenant, flow=flow, kind="once", at=soon, participants=["anon"]))

    schedules.run_due(soon)

    assert whose() == ["ada"]


def test_python_is_given_the_known_ones_run(flow):
    assert triggers.start(flow, "anon").participant_id == "ada"


def test_the_same_id_of_another_tenant_is_started_as_itself(flow, flow_of, customer, other_tenant):
    customer("anon", tenant=other_tenant)
    theirs = flow_of(waiting_graph(), of=other_tenant)

    assert triggers.start(theirs, "anon").participant_id == "anon"
