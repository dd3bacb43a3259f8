"""Templates over REST: checked part by part, kept in versions, looked at before they are sent."""

import pytest

from marketing.models import TemplateVersion
from tests.engine.api.conftest import codes

URL = "/api/v1/templates"
WELCOME = {
    "template_id": "welcome",
    "channel": "email",
    "content": {"subject": "Hi {{ participant.name }}", "html": "<b>{{ vars.note }}</b>"},
    "locales": {"de": {"subject": "Hallo {{ participant.name }}"}},
}


@pytest.fixture
def welcome(api):
    answer = api.post(URL, WELCOME)
    assert answer.status_code == 201, answer.json()
    return f"{URL}/welcome"


def test_each_wording_is_a_version_that_stays(api, welcome):
    reworded = api.put(welcome, {"content": {"subject": "New", "text": "x"}}).json()
    same = api.put(welcome, {"content": {"subject": "New", "text": "x"}}).json()
    back = api.patch(welcome, {"version": 1}).json()
    third = api.patch(welcome, {"content": {"subject": "Third", "text": "y"}}).json()

    assert (reworded["version"], same["version"], back["version"], third["version"]) == (2, 2, 1, 3)
    assert back["content"] == WELCOME["content"]
    assert third["locales"] == WELCOME["locales"]
    listed = api.get(f"{welcome}/versions").json()["results"]
    assert [each["number"] for each in listed] == [3, 2, 1]
    assert listed[0]["created_by"].startswith("key:")
    assert TemplateVersion.objects.count() == 3


def test_answers_agree_with_the_schema(agree, api, welcome):
    one = "/api/v1/templates/{template_id}"
    agree(api, "get", URL)
    agree(api, "get", one, template_id="welcome")
    agree(api, "get", f"{one}/versions", template_id="welcome")
    agree(api, "put", one, {"content": WELCOME["content"], "name": "Welcome"}, template_id="welcome")
    agree(api, "patch", one, {"version": 9}, template_id="welcome")
    preview = {"participant": {"name": "Ada"}, "vars": {"note": "x"}}
    agree(api, "post", f"{one}/preview", preview, template_id="welcome")
    agree(api, "delete", one, template_id="welcome")
    agree(api, "post", URL, {**WELCOME, "template_id": "other"})
    agree(api, "post", URL, {**WELCOME, "template_id": "other"})


def test_a_wrong_wording_is_refused_by_part_and_line(api):
    content = {"subject": "{{ name }}", "html": "a\n{% for %}", "txt": "x"}

    answer = api.post(URL, {**WELCOME, "content": content})

    assert answer.status_code == 400
    found = {problem["attr"]: problem["code"] for problem in answer.json()["errors"]}
    assert found == {
        "content.subject": "unknown_variable",
        "content.html": "invalid_template",
        "content.txt": "unknown_field",
    }
    details = " ".join(problem["detail"] for problem in answer.json()["errors"])
    assert "Line 2" in details
    assert api.get(f"{URL}/welcome").status_code == 404


def test_an_unknown_filter_is_refused_when_it_is_saved(api):
    answer = api.post(URL, {**WELCOME, "content": {"subject": "x", "text": "{{ vars.a | shout }}"}})

    assert codes(answer) == ["invalid_template"]


def test_a_taken_name_is_a_conflict(api, welcome):
    answer = api.post(URL, WELCOME)

    assert (answer.status_code, codes(answer)) == (409, ["name_taken"])


def test_a_preview_is_for_a_customer_in_the_customers_language(api, welcome, customer):
    customer("ada", name="Ada", locale="de-AT", properties={"plan": "pro"})

    answer = api.post(f"{welcome}/preview", {"participant_id": "ada", "vars": {"note": {"ref": "participant.plan"}}})

    assert answer.json() == {"locale": "de", "rendered": {"subject": "Hallo Ada", "html": "<b>pro</b>"}}


def test_a_preview_tells_what_is_missing_and_where(api, welcome):
    answer = api.post(f"{welcome}/preview", {"participant": {"name": "Ada"}})

    (problem,) = answer.json()["errors"]
    assert answer.status_code == 400
    assert (problem["code"], problem["attr"]) == ("template_missing", "content.html")
    assert "vars.note" in problem["detail"]


def test_a_preview_can_try_another_wording(api, welcome):
    content = {"subject": "{{ vars.code }} {{ vars.url }}", "text": "x"}
    given = {"vars": {"code": {"pool": "spring"}, "url": {"link": "consent_confirm", "topic": "news", "ttl": "2d"}}}

    answer = api.post(f"{welcome}/preview", {"content": content, "locales": {}, **given})

    assert answer.status_code == 200, answer.json()
    assert answer.json()["rendered"]["subject"].startswith("COUPON http")
    assert TemplateVersion.objects.count() == 1


def test_another_tenants_template_is_not_there(client_of, other_tenant, welcome):
    other = client_of(other_tenant)

    assert other.get(welcome).status_code == 404
    assert other.put(welcome, {"content": {"subject": "x", "text": "y"}}).status_code == 404
    assert other.post(f"{welcome}/preview", {}).status_code == 404
    assert other.get(URL).json()["results"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {**WELCOME, "content": []},
        {**WELCOME, "content": {"subject": 1, "text": "x"}},
        {**WELCOME, "content": {"subject": None, "text": "x"}},
        {**WELCOME, "locales": {"de": []}},
        {**WELCOME, "locales": {"de": {"html": "{{"}}},
        {**WELCOME, "channel": "pigeon"},
        {**WELCOME, "template_id": "a b"},
        {**WELCOME, "surprise": 1},
    ],
)
def test_bad_input_is_a_clear_refusal(api, body):
    answer = api.post(URL, body)

    assert answer.status_code == 400
    assert all(problem["detail"] for problem in answer.json()["errors"])
