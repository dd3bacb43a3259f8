"""The served schema and the answers agree, for keys, secrets and every kind of refusal."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from rest_framework.test import APIClient

from tenants.models import Role, Tenant
from tests.support.openapi import mismatches

pytestmark = pytest.mark.django_db

KEYS, KEY = "/api/v1/keys", "/api/v1/keys/{key_id}"
SECRETS, SECRET = "/api/v1/secrets", "/api/v1/secrets/{name}"


@pytest.fixture
def schema(client: Client) -> dict[str, Any]:
    answer = client.get("/api/v1/schema")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    return dict(answer.json())


@pytest.fixture
def agree(schema: dict[str, Any]) -> Callable[..., Any]:
    def call(client: APIClient, method: str, template: str, body: object = None, **names: str) -> Any:
        answer = getattr(client, method)(template.format(**names), body)
        assert mismatches(schema, template, method, answer) == []
        return answer

    return call


def test_answers_are_as_promised(agree: Callable[..., Any], api: APIClient) -> None:
    key = agree(api, "post", KEYS, {"name": "ci", "expires_at": "2999-01-01T00:00:00Z"}).json()
    assert key["expires_at"] == "2999-01-01T00:00:00Z"
    agree(api, "get", KEYS)
    agree(api, "get", KEY, key_id=key["id"])
    agree(api, "delete", KEY, key_id=key["id"])
    agree(api, "post", SECRETS, {"name": "a", "value": "x"})
    agree(api, "get", SECRETS)
    agree(api, "get", SECRET, name="a")
    assert agree(api, "put", SECRET, {"value": "x"}, name="a").status_code == 200
    assert agree(api, "put", SECRET, {"value": "x"}, name="b").status_code == 201
    agree(api, "delete", SECRET, name="a")


def test_refusals_are_as_promised(
    agree: Callable[..., Any], api: APIClient, tenant: Tenant, client_of: Callable[..., APIClient]
) -> None:
    agree(api, "post", SECRETS, {"name": "a", "value": "x"})
    refused = [
        agree(api, "post", SECRETS, {"name": "a", "value": "x"}),
        agree(api, "post", SECRETS, {"nme": "a"}),
        agree(api, "get", KEY, key_id="x"),
        agree(APIClient(), "get", KEYS),
        agree(client_of(tenant, Role.VIEWER), "get", KEYS),
    ]
    assert [answer.status_code for answer in refused] == [409, 400, 404, 401, 403]


def test_every_operation_says_how_to_call_it(schema: dict[str, Any]) -> None:
    assert schema["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    operations = [
        (f"{method} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    ]
    assert len(operations) > 9
    for name, operation in operations:
        assert 3 < len(operation["summary"]) < 120, name
        assert {"400", "401", "403", "404", "429", "503"} <= set(operation["responses"]), name
        headers = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "header"]
        assert headers == (["Idempotency-Key"] if name.startswith("post") else []), name


def test_pages_of_the_schema(client: Client) -> None:
    for page in ("/api/v1/docs", "/api/v1/docs/", "/api/v1/redoc"):
        answer = client.get(page, headers={"accept": "text/html"})
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"https://" not in answer.content
    assert client.get("/api/v1/schema", headers={"accept": "application/yaml"}).content.startswith(b"openapi:")


def test_nothing_in_the_schema_is_guessed(schema: dict[str, Any]) -> None:
    assert not GENERATOR_STATS._error_cache


def test_no_shape_hides_another_of_its_name(schema: dict[str, Any]) -> None:
    assert [each for each in GENERATOR_STATS._warn_cache if "identical names" in each] == []
    components = schema["components"]["schemas"]
    assert {"launch_at", "cron"} <= components["JourneyScheduleInput"]["properties"].keys()
    assert {"participants", "cron"} <= components["ScheduleInput"]["properties"].keys()
