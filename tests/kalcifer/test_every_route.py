"""What holds for every operation of the API, whoever adds one: who may call it, and that nothing sent is a 500."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from tenants.models import Role, Tenant
from tests.engine.api.conftest import client_of, forget_between_tests
from tests.engine.conftest import other_tenant, tenant

__all__ = ["client_of", "forget_between_tests", "other_tenant", "tenant"]

Operation = tuple[str, str]
METHODS = ("get", "post", "put", "patch", "delete")
READS = ("get",)
# For admins alone.
KEYS = "/api/v1/keys"
# Places in a path that take a number.
NUMBERS = ("number", "other")
# What may stand where an id is expected.
NAMES = (
    "7d3a5c1e-0000-4000-8000-000000000000",
    "ada",
    "%00",
    "%ED%A0%80",
    "a%2Fb",
    "x" * 300,
    "'; DROP TABLE flows; --",
    "%F0%9F%98%80",
    "../..",
)
VALUES = ("\0", "x", "-1", "9" * 40, "{", "2026-13-45", "a,b,,", "\u202e😀")
RULE = {"all": [{"not": {}}] * 3}
FIELDS = ("name", "rule", "graph", "participant_id", "external_id", "properties", "channel", "provider", "into", "slug")
BODIES = (
    b"", b"[]", b"null", b"0", b'"x"', b"{", b'{"a": NaN}', b'{"name": "\\u0000"}', b'{"name": "\\ud800"}',
    b'{"id": 1, "id": 2}', b'{"name": 123456789012345678901234567890}', b"[" * 5_000,
    b'{"a":' * 200 + b"1" + b"}" * 200, b"\xff\xfe", json.dumps(dict.fromkeys(FIELDS, RULE)).encode(),
)  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


@pytest.fixture(scope="module")
def parameters(schema: dict[str, Any]) -> list[tuple[str, str]]:
    """Every parameter of a query, as (path, name)."""
    return [
        (path, each["name"])
        for path, methods in schema["paths"].items()
        for each in methods.get("get", {}).get("parameters", ())
        if each["in"] == "query"
    ]


@pytest.fixture(scope="module")
def operations(schema: dict[str, Any]) -> list[Operation]:
    """Every operation that needs a key, as (path, method)."""
    return [
        (path, method)
        for path, methods in schema["paths"].items()
        for method, said in methods.items()
        if method in METHODS and said.get("security")
    ]


def url(path: str, name: str = "") -> str:
    for part in [each for each in path.split("{")[1:] if "}" in each]:
        key = part.partition("}")[0]
        path = path.replace(f"{{{key}}}", name or ("1" if key in NUMBERS else str(uuid4())))
    return path


def call(client: APIClient, operation: Operation, *, name: str = "", body: bytes = b"{}") -> int:
    path, method = operation
    data = {} if method in READS else {"data": body, "content_type": "application/json"}
    status: int = client.generic(method.upper(), url(path, name), **data).status_code
    return status


def among(
    operations: list[Operation], answers: Callable[[Operation], int], wrong: Callable[[int], bool]
) -> Iterator[Any]:
    for operation in operations:
        if wrong(status := answers(operation)):
            yield (*operation, status)


@pytest.mark.django_db
def test_nobody_calls_anything_without_a_key(operations: list[Operation]) -> None:
    nobody = APIClient(raise_request_exception=False)

    found = among(operations, lambda each: call(nobody, each), lambda status: status != 401)

    assert list(found) == []
    assert len(operations) > 100


@pytest.mark.django_db
def test_viewers_read_and_change_nothing(operations: list[Operation], client_of: Any, tenant: Tenant) -> None:
    viewer = client_of(tenant, Role.VIEWER)
    reads = [each for each in operations if each[1] in READS and not each[0].startswith(KEYS)]
    writes = [each for each in operations if each not in reads]

    assert list(among(reads, lambda each: call(viewer, each), lambda status: status in (401, 403))) == []
    assert list(among(writes, lambda each: call(viewer, each), lambda status: status != 403)) == []


@pytest.mark.django_db
def test_editors_do_everything_but_manage_keys(operations: list[Operation], client_of: Any, tenant: Tenant) -> None:
    editor = client_of(tenant, Role.EDITOR)
    keys = [each for each in operations if each[0].startswith(KEYS)]
    others = [each for each in operations if each not in keys]

    assert list(among(keys, lambda each: call(editor, each), lambda status: status != 403)) == []
    assert list(among(others, lambda each: call(editor, each), lambda status: status in (401, 403))) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", NAMES)
def test_no_name_in_a_url_is_a_server_error(
    operations: list[Operation], client_of: Any, tenant: Tenant, name: str
) -> None:
    admin = client_of(tenant, Role.ADMIN)
    named = [each for each in operations if "{" in each[0]]

    assert list(among(named, lambda each: call(admin, each, name=name), lambda status: status >= 500)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_no_body_is_a_server_error(operations: list[Operation], client_of: Any, tenant: Tenant, body: bytes) -> None:
    admin = client_of(tenant, Role.ADMIN)
    writes = [each for each in operations if each[1] not in READS]

    assert list(among(writes, lambda each: call(admin, each, body=body), lambda status: status >= 500)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_value_of_a_parameter_is_a_server_error(
    parameters: list[tuple[str, str]], client_of: Any, tenant: Tenant, value: str
) -> None:
    admin = client_of(tenant, Role.ADMIN)

    found = [(path, name) for path, name in parameters if admin.get(url(path), {name: value}).status_code >= 500]

    assert found == []
