"""Links in messages: to look changes nothing, to confirm changes once, and nobody can make one up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from engine import clock
from engine.models import InboundEvent
from marketing.links import addresses, tokens
from marketing.links.tokens import Purpose, Ticket
from marketing.models import Consent, ConsentChange, Customer, Link, Topic
from tests.support.races import at_once

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def ada(customer):
    return customer("ada", email="ada@example.com")


@pytest.fixture
def path(tenant, ada):
    """Make the path of a link to Ada."""

    def make(purpose=Purpose.UNSUBSCRIBE, *, topic="news", ttl=tokens.DEFAULT_TTL, **facts):
        ticket = Ticket(purpose, str(tenant.pk), facts.pop("who", "ada"), "email", topic, **facts)
        return addresses.path_of(tokens.sign(ticket, ttl=ttl))

    return make


@pytest.fixture
def browser():
    return Client(enforce_csrf_checks=True)


def events():
    return list(InboundEvent.objects.order_by("id").values_list("participant_id", "event_type", "data"))


def preferences():
    return Customer.objects.get(external_id="ada").preferences


def test_looking_at_a_link_changes_nothing(path, browser):
    for method in (browser.get, browser.head):
        answer = method(path())
        assert answer.status_code == 200

    assert preferences() == {}
    assert events() == []


def test_one_click_unsubscribes_once_without_cookie_or_key(path, browser):
    address = path()
    answers = [browser.post(address, ONE_CLICK, content_type=FORM) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert preferences() == {"email": {"news": False}}
    assert events() == [("ada", "unsubscribed", {"channel": "email", "topic": "news"})]
    assert list(ConsentChange.objects.values_list("channel", "topic", "after")) == [("email", "news", "false")]


def test_one_click_by_many_at_once_counts_once(path):
    address = path()

    at_once([lambda: Client().post(address, ONE_CLICK, content_type=FORM)] * 4)

    assert len(events()) == 1


def test_who_subscribes_again_can_unsubscribe_again_with_the_same_link(path, browser):
    address = path()
    browser.post(address, ONE_CLICK, content_type=FORM)
    Customer.objects.update(preferences={"email": {"news": True}})
    browser.post(address, ONE_CLICK, content_type=FORM)

    assert preferences() == {"email": {"news": False}}
    assert len(events()) == 2


def test_everything_on_a_channel_can_be_left_at_once(path, browser):
    browser.post(path(), {"scope": "all"})

    assert preferences() == {"email": {"*": False}}
    assert events() == [("ada", "unsubscribed_all", {"channel": "email"})]


def test_a_link_without_a_topic_leaves_the_channel(path, browser):
    browser.post(path(topic=""), ONE_CLICK, content_type=FORM)

    assert preferences() == {"email": {"*": False}}


def test_a_consent_is_confirmed_by_a_click_on_the_page_alone(path, browser):
    Customer.objects.update(preferences={"email": {"news": False}})
    address = path(Purpose.CONFIRM)
    assert browser.get(address).status_code == 200
    assert not Consent.objects.exists()

    answers = [browser.post(address) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert Consent.objects.get().status == "granted"
    assert preferences() == {"email": {"news": True}}
    assert events() == [("ada", "consent_confirmed", {"topic": "news", "channel": "email"})]


def test_the_event_of_a_confirmation_comes_also_when_the_consent_was_there_before(tenant, path, browser):
    Consent.objects.create(tenant=tenant, participant_id="ada", topic="news", status="granted", at=clock.now())

    browser.post(path(Purpose.CONFIRM))

    assert [kind for _, kind, _ in events()] == ["consent_confirmed"]


def test_an_old_link_says_so_and_does_nothing(path, browser, now):
    address = path(ttl=timedelta(days=45))
    now.advance(days=46)

    answers = [browser.get(address), browser.post(address, ONE_CLICK, content_type=FORM)]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert b"no longer valid" in answers[0].content
    assert events() == []


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + "x", lambda t: "A" + t, lambda t: t.split(":")[0], lambda _: "%00é"]
)
def test_a_forged_link_is_a_page_that_says_so(path, browser, change):
    address = path()
    token = change(address.rsplit("/", 1)[1])

    answer = browser.post(f"/u/{token}", ONE_CLICK, content_type=FORM)

    assert answer.status_code == 404
    assert b"not valid" in answer.content
    assert preferences() == {}


def test_a_token_of_one_purpose_is_none_of_another(path):
    first, second = path().rsplit("/", 1)[1], path(Purpose.CONFIRM).rsplit("/", 1)[1]

    assert tokens.read(first).purpose is Purpose.UNSUBSCRIBE
    assert tokens.read(second).purpose is Purpose.CONFIRM
    with pytest.raises(tokens.Forged):
        tokens.read(f"{second.split(':')[0]}:{first.split(':', 1)[1]}")


def test_a_link_leads_only_where_its_tenant_says(tenant, other_tenant, path, browser):
    Link.objects.create(tenant=tenant, slug="survey", url="https://example.com/s", created_at=clock.now())
    Link.objects.create(tenant=other_tenant, slug="theirs", url="https://evil.example", created_at=clock.now())

    answer = browser.get(path(Purpose.GO, name="survey"), {"url": "https://evil.example", "next": "//evil.example"})

    assert (answer.status_code, answer["Location"]) == (302, "https://example.com/s")
    assert browser.get(path(Purpose.GO, name="theirs")).status_code == 410


def test_who_was_merged_is_found_and_who_was_erased_is_not(path, browser, customer):
    customer("anonymous", state=Customer.State.MERGED, merged_into="ada")
    browser.post(path(who="anonymous"), ONE_CLICK, content_type=FORM)
    answer = browser.post(path(Purpose.CONFIRM, who="nobody"))

    assert preferences() == {"email": {"news": False}}
    assert answer.status_code == 410
    assert not Consent.objects.exists()


def test_pages_speak_the_readers_language_and_leak_nothing(tenant, path, browser):
    Topic.objects.create(tenant=tenant, slug="news", name="<Neues>", created_at=clock.now())

    page = browser.get(path(), headers={"accept-language": "fr, de-AT;q=0.8"})

    assert 'lang="de"' in page.content.decode()
    assert "&lt;Neues&gt;" in page.content.decode()
    assert page["Referrer-Policy"] == "no-referrer"
    assert page["Cache-Control"] == "no-store"
    assert "ada@example.com" not in page.content.decode()


def test_links_over_rest(agree, api, client_of, other_tenant):
    url, one = "/api/v1/links", "/api/v1/links/{slug}"
    made = agree(api, "post", url, {"slug": "survey", "url": "https://example.com/s"}).json()

    assert made["url"] == "https://example.com/s"
    assert agree(api, "post", url, {"slug": "survey", "url": "https://example.com"}).status_code == 409
    assert agree(api, "post", url, {"slug": "unsubscribe", "url": "https://example.com"}).status_code == 409
    assert agree(api, "patch", one, {"url": "http://example.com/t"}, slug="survey").json()["url"].endswith("/t")
    assert agree(api, "get", url).json()["results"][0]["slug"] == "survey"
    for wrong in ("javascript:alert(1)", "//example.com", "https://", "https://[", "ftp://x", "https://a b"):
        assert agree(api, "post", url, {"slug": "x", "url": wrong}).status_code == 400
    assert client_of(other_tenant).get(f"{url}/survey").status_code == 404
    assert agree(api, "delete", one, slug="survey").status_code == 204
