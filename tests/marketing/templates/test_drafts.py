"""From what a step queued to what is sent: references, coupons and links of a whole batch."""

from __future__ import annotations

import pytest
from django.test import Client

from engine import clock
from engine.nodes.context import StepContext
from engine.nodes.message_vars import Resolved, compile_vars, references_in
from marketing.coupons import pools
from marketing.links import tokens
from marketing.models import CouponPool
from marketing.templates import drafts
from marketing.templates.content import Content
from marketing.templates.drafts import Draft, Letter
from marketing.templates.errors import CannotRender

NEWS = Content("email", {"subject": "{{ vars.code }}", "text": "{{ vars.url }} {{ unsubscribe_url }}"})
VARS = {
    "name": {"ref": "participant.first_name", "default": "there"},
    "gone": {"ref": "entry.gone"},
    "items": {"ref": "entry.items"},
    "code": {"pool": "spring"},
    "url": {"link": "consent_confirm", "topic": "news", "ttl": "45d"},
    "plain": {"deep": [{"ref": "entry.n"}]},
}


def step(**facts):
    return StepContext(clock.now(), "i", "n", "ada", **{"entry": {"items": [{"n": 1}], "n": 2}, **facts})


@pytest.fixture
def spring(tenant):
    pool = CouponPool.objects.create(tenant=tenant, slug="spring", created_at=clock.now())
    pools.add(pool, ["A", "B"])
    return pool


def draft(key, content=NEWS, **facts):
    resolved = Resolved(
        coupons={"code": "spring"}, links={"url": {"link": "consent_confirm", "topic": "news", "ttl": "45d"}}
    )
    return Draft(key, f"who-{key}", content, resolved, topic="news", **facts)


def resolved(step):
    return Resolved.model_validate(compile_vars(VARS).resolve(step.scope()))


def test_references_are_filled_in_and_what_is_missing_is_left_out():
    found = resolved(step())

    assert found.values == {"name": "there", "items": [{"n": 1}], "plain": {"deep": [2]}}
    assert found.coupons == {"code": "spring"}
    assert found.links == {"url": VARS["url"]}


def test_an_event_cannot_help_itself_to_a_coupon_or_a_link():
    entry = {"items": {"pool": "spring"}, "gone": {"link": "consent_confirm", "topic": "news"}}

    found = resolved(step(entry=entry))

    assert found.coupons == {"code": "spring"}
    assert set(found.links) == {"url"}
    assert found.values["items"] == {"pool": "spring"}


def test_publishing_is_told_which_pools_links_and_topics_are_needed():
    assert {(each.kind, each.name, each.path) for each in references_in(VARS)} == {
        ("coupon pool", "spring", "vars.code.pool"),
        ("link", "consent_confirm", "vars.url.link"),
        ("topic", "news", "vars.url.topic"),
    }


def test_a_repeated_attempt_writes_the_same_code(tenant, spring):
    first, second = drafts.compose_many(str(tenant.pk), [draft("m1"), draft("m2")])
    again = drafts.compose(str(tenant.pk), draft("m1"))

    assert again.parts["subject"] == first.parts["subject"] != second.parts["subject"]


def test_an_empty_pool_fails_its_message_alone(tenant, spring):
    written = drafts.compose_many(str(tenant.pk), [draft(f"m{number}") for number in range(3)])

    assert [type(each) for each in written] == [Letter, Letter, CannotRender]
    assert written[2].reason == "coupon_pool_empty:spring"


def test_links_and_the_one_click_header_lead_to_pages_of_ours(tenant, spring, customer):
    customer("who-m1")
    letter = drafts.compose(str(tenant.pk), draft("m1"))
    url, way_out = letter.parts["text"].split()

    assert letter.headers["List-Unsubscribe"] == f"<{way_out}>"
    assert letter.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for address, purpose in ((url, "c"), (way_out, "u")):
        path = "/" + address.split("/", 3)[3]
        assert tokens.read(path.rsplit("/", 1)[1]).purpose == purpose
        assert Client().get(path).status_code == 200


def test_a_profile_is_read_as_paths_read_it(tenant):
    source = (
        "{{ participant.name }} {{ participant.plan }} {{ participant.attributes.plan }} {{ entry.n }} {{ run.id }}"
    )
    known = {"name": "Ada", "properties": {"plan": "pro", "name": "other"}}
    made = Draft("m", "ada", Content("sms", {"text": source}), participant=known, entry={"n": 1}, run={"id": "r"})

    assert drafts.compose(str(tenant.pk), made).parts["text"] == "Ada pro pro 1 r"


def test_one_that_cannot_be_written_leaves_its_neighbours_be(tenant):
    broken, fine = Content("sms", {"text": "{{ vars.x }}"}), Content("sms", {"text": "fine"})

    written = drafts.compose_many(str(tenant.pk), [Draft("a", "a", broken), Draft("b", "b", fine)])

    assert written[0].reason == "template_missing:vars.x"
    assert written[1].parts == {"text": "fine"}
