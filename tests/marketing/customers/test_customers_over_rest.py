"""Customers over REST: made, changed, replaced, found, tagged."""

import pytest

from marketing.models import ConsentChange, Customer

ADA = {
    "external_id": "ada",
    "email": "ada@example.com",
    "phone": "+49 (151) 123-45678",
    "name": "Ada",
    "timezone": "Europe/Berlin",
    "locale": "de_at",
    "properties": {"plan": "pro", "address": {"city": "Bonn", "zip": "53111"}},
    "tags": ["vip", "beta", "vip"],
    "preferences": {"email": {"news": False}},
}


def codes(answer):
    return [(problem["code"], problem["attr"]) for problem in answer.json()["errors"]]


def test_a_customer_is_made_as_it_was_sent_in_the_one_form_of_each_column(agree, api):
    made = agree(api, "post", "/api/v1/customers", ADA)

    assert made.status_code == 201
    found = made.json()
    assert found["phone"] == "+4915112345678"
    assert found["locale"] == "de-AT"
    assert found["tags"] == ["vip", "beta"]
    assert found["preferences"] == {"email": {"news": False}}
    assert found["properties"] == ADA["properties"]
    assert found["state"] == "active"
    assert agree(api, "get", "/api/v1/customers/{external_id}", external_id="ada").json() == found


def test_a_second_customer_of_the_same_id_is_refused(agree, api):
    agree(api, "post", "/api/v1/customers", ADA)

    again = api.post("/api/v1/customers", {"external_id": "ada"})

    assert (again.status_code, codes(again)) == (409, [("exists", "external_id")])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ada"),
        ("email", "a da@example.com"),
        ("phone", "0151"),
        ("phone", "+0123456789"),
        ("locale", "klingon!"),
        ("properties", []),
        ("tags", "vip"),
        ("name", 5),
        ("preferences", {"pigeon": {"news": True}}),
        ("preferences", {"email": {"news": "yes"}}),
        ("nmae", "Ada"),
    ],
)
def test_what_is_none_is_refused_by_its_name(api, field, value):
    refused = api.post("/api/v1/customers", {"external_id": "ada", field: value})

    assert refused.status_code == 400
    assert all(attr.startswith(field) for _, attr in codes(refused))
    assert not Customer.objects.exists()


def test_a_zone_that_is_none_is_kept_in_the_properties_alone(api):
    found = api.post("/api/v1/customers", {"external_id": "ada", "timezone": "GMT+2"}).json()

    assert (found["timezone"], found["properties"]) == (None, {"timezone": "GMT+2"})
    found = api.patch("/api/v1/customers/ada", {"timezone": "Europe/Paris"}).json()
    assert (found["timezone"], found["properties"]) == ("Europe/Paris", {})


def test_put_makes_a_customer_and_then_makes_it_just_this(agree, api):
    first = agree(api, "put", "/api/v1/customers/{external_id}", {"name": "Ada", "tags": ["a"]}, external_id="ada")
    api.put("/api/v1/customers/ada/preferences", {"sms": {"news": True}})
    second = agree(api, "put", "/api/v1/customers/{external_id}", {"email": "a@example.com"}, external_id="ada")

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["name"] is None
    assert second.json()["tags"] == []
    assert second.json()["preferences"] == {}
    assert second.json()["email"] == "a@example.com"


def test_patch_changes_what_is_sent_and_merges_properties(agree, api):
    api.post("/api/v1/customers", ADA)
    body = {"name": None, "properties": {"plan": None, "address": {"city": "Köln"}}}

    found = agree(api, "patch", "/api/v1/customers/{external_id}", body, external_id="ada").json()

    assert found["name"] is None
    assert found["properties"] == {"address": {"city": "Köln", "zip": "53111"}}
    assert found["email"] == "ada@example.com"
    assert found["tags"] == ["vip", "beta"]


def test_tags_are_a_set(agree, api):
    api.post("/api/v1/customers", ADA)
    url = "/api/v1/customers/{external_id}/tags"

    found = agree(api, "post", url, {"add": ["new", "vip", "both"], "remove": ["beta", "both"]}, external_id="ada")

    assert found.json()["tags"] == ["vip", "new"]
    assert [row["external_id"] for row in api.get("/api/v1/customers?tag=new").json()["results"]] == ["ada"]
    assert api.get("/api/v1/customers?tag=beta").json()["results"] == []


def test_preferences_are_merged_null_takes_away_and_each_change_is_in_the_audit(agree, api):
    api.post("/api/v1/customers", ADA)
    url = "/api/v1/customers/{external_id}/preferences"

    agree(api, "put", url, {"email": {"tips": True}, "sms": {"news": False}}, external_id="ada")
    found = agree(api, "put", url, {"email": {"news": None}, "sms": None}, external_id="ada")

    assert found.json()["preferences"] == {"email": {"tips": True}}
    said = [(each.channel, each.topic, each.before, each.after) for each in ConsentChange.objects.order_by("id")]
    assert said[0] == ("email", "news", "", "false")
    assert set(said[1:3]) == {("email", "tips", "", "true"), ("sms", "news", "", "false")}
    assert set(said[3:]) == {("email", "news", "false", ""), ("sms", "news", "false", "")}


def test_a_search_knows_how_ids_addresses_and_names_begin(api, customer):
    customer("ada", email="First@example.com", name="Lovelace")
    customer("bob", email="second@example.com", name="Builder")
    customer("50%", name="percent")

    def search(text):
        return {row["external_id"] for row in api.get("/api/v1/customers", {"search": text}).json()["results"]}

    assert search("ad") == {"ada"}
    assert search("FIRST@") == {"ada"}
    assert search("build") == {"bob"}
    assert search("50%") == {"50%"}
    assert search("%") == search("ove") == set()


def test_customers_are_listed_newest_first_page_by_page(agree, api, customer):
    for name in ("one", "two", "three"):
        customer(name)

    first = agree(api, "get", "/api/v1/customers", {"page_size": 2}).json()
    second = api.get(first["next"]).json()

    assert [row["external_id"] for row in first["results"] + second["results"]] == ["three", "two", "one"]


def test_another_tenants_customer_is_not_there(api, client_of, other_tenant):
    api.post("/api/v1/customers", ADA)
    stranger = client_of(other_tenant)

    assert stranger.get("/api/v1/customers/ada").status_code == 404
    assert stranger.patch("/api/v1/customers/ada", {"name": "x"}).status_code == 404
    assert stranger.post("/api/v1/customers/ada/tags", {"add": ["x"]}).status_code == 404
    assert stranger.get("/api/v1/customers/ada/instances").status_code == 404
    assert stranger.get("/api/v1/customers?tag=vip").json()["results"] == []
    assert stranger.post("/api/v1/customers", ADA).status_code == 201


def test_properties_have_a_size(api):
    refused = api.post("/api/v1/customers", {"external_id": "ada", "properties": {"text": "x" * 100_001}})

    assert codes(refused) == [("too_large", "properties")]


def test_topics_are_made_changed_and_deleted(agree, api):
    made = agree(api, "post", "/api/v1/topics", {"slug": "news", "opt_in": True})
    assert (made.status_code, made.json()["name"], made.json()["opt_in"]) == (201, "news", True)
    assert codes(api.post("/api/v1/topics", {"slug": "news"})) == [("name_taken", "slug")]
    assert api.post("/api/v1/topics", {"slug": "no news"}).status_code == 400

    agree(api, "patch", "/api/v1/topics/{slug}", {"name": "News", "opt_in": False}, slug="news")
    found = agree(api, "get", "/api/v1/topics/{slug}", slug="news").json()
    assert (found["name"], found["opt_in"]) == ("News", False)
    assert len(agree(api, "get", "/api/v1/topics").json()["results"]) == 1

    assert agree(api, "delete", "/api/v1/topics/{slug}", slug="news").status_code == 204
    assert api.get("/api/v1/topics/news").status_code == 404
