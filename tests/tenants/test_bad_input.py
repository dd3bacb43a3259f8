"""Nothing that a client can send gives a 500, and every refusal says what to do."""

import io
import json
from typing import Any

import orjson
import pytest
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tenants.models import Tenant

URL = "/api/v1/secrets"
MIB = 1024 * 1024

pytestmark = pytest.mark.django_db


def send(api: APIClient, raw: bytes, **more: Any) -> Any:
    return api.generic("POST", URL, raw, **({"content_type": "application/json"} | more))


def only_error(answer: Any) -> dict[str, Any]:
    (found,) = answer.json()["errors"]
    assert set(found) == {"code", "detail", "attr"}
    assert found["detail"]
    return dict(found)


@pytest.mark.parametrize(
    ("raw", "code", "attr"),
    [
        (b"{", "invalid_json", None),
        (b'{"name": "\xff"}', "invalid_json", None),
        (b'{"name": "\\ud800"}', "invalid_string", None),
        (b'{"name": "a\\u0000"}', "invalid_string", "name"),
        (b'{"\\u0000": 1}', "invalid_string", None),
        (b'{"name": 1e400}', "number_out_of_range", None),
        (b'{"name": 99999999999999999999}', "number_out_of_range", None),
        (b'{"name": NaN}', "invalid_json", None),
        (b"[" * 100_000, "too_deep", None),
        (b'{"name": "a", "name": "b", "value": "c"}', "duplicate_name", "name"),
        (b"[]", "invalid", None),
        (b"1", "invalid", None),
        (b'"name"', "invalid", None),
        (b"null", "invalid", None),
    ],
)
def test_body_that_is_no_object_of_ours(api: APIClient, raw: bytes, code: str, attr: str | None) -> None:
    answer = send(api, raw)
    assert answer.status_code == 400, answer.content
    assert answer.json()["type"] == "validation_error"
    error = only_error(answer)
    assert (error["code"], error["attr"]) == (code, attr)


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {("required", "name"), ("required", "value")}),
        ({"name": "a", "value": None}, {("null", "value")}),
        ({"name": "a", "value": 5}, {("invalid", "value")}),
        ({"name": ["a"], "value": {}}, {("invalid", "name"), ("invalid", "value")}),
        ({"name": "with space", "value": "x"}, {("invalid", "name")}),
        ({"name": "a", "value": "x", "vlaue": 1, "x y": 2}, {("unknown_field", "vlaue"), ("unknown_field", "x y")}),
        ({"name": "a", "value": "x" * 65_537}, {("max_length", "value")}),
    ],
)
def test_every_problem_is_named_at_once(api: APIClient, body: object, problems: set[tuple[str, str]]) -> None:
    answer = api.post(URL, body)
    assert answer.status_code == 400
    assert {(error["code"], error["attr"]) for error in answer.json()["errors"]} == problems


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", ";;;"]
)
def test_body_of_another_type(api: APIClient, kind: str) -> None:
    answer = send(api, b"name=a", content_type=kind)
    assert answer.status_code == 415
    assert only_error(answer)["code"] == "unsupported_media_type"


def test_json_by_other_spellings(api: APIClient) -> None:
    body = b'{"name": "a", "value": "x"}'
    assert send(api, body, content_type="Application/JSON; charset=UTF-8").status_code == 201
    assert send(api, body, content_type="application/json; charset=latin-1").status_code == 415


def test_size_of_bodies(api: APIClient) -> None:
    filler = b" " * (MIB - 40)
    assert send(api, b'{"name": "a", "value": "x"}' + filler).status_code == 201
    answer = send(api, b'{"name": "b", "value": "x"}' + filler + b" " * 40)
    assert answer.status_code == 413
    assert "1 MiB" in only_error(answer)["detail"]


class Endless(io.RawIOBase):
    """A chunked body as a server hands it on: it ends when it ends."""

    def __init__(self, whole: bytes) -> None:
        super().__init__()
        self.left = io.BytesIO(whole)
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        part = self.left.read(min(size, 1000) if size >= 0 else -1)
        self.taken += len(part)
        return part


def over_wsgi(key: str, body: io.IOBase, **more: Any) -> tuple[int, dict[str, Any]]:
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": URL,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_AUTHORIZATION": key,
        "CONTENT_TYPE": "application/json",
        "wsgi.input": body,
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        **more,
    }
    content = b"".join(WSGIHandler()(environ, lambda status, *_: statuses.append(status)))
    return int(statuses[0][:3]), orjson.loads(content)


CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}


@pytest.mark.django_db(transaction=True)
def test_body_without_a_length(api: APIClient) -> None:
    key = str(api._credentials["HTTP_AUTHORIZATION"])  # type: ignore[attr-defined]
    status, content = over_wsgi(key, Endless(b'{"name": "chunked", "value": "x"}'), **CHUNKED)
    assert (status, content.get("name")) == (201, "chunked")
    huge = Endless(b" " * (20 * MIB))
    status, content = over_wsgi(key, huge, **CHUNKED)
    assert (status, content["errors"][0]["code"]) == (413, "body_too_large")
    assert huge.taken <= MIB + 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("length", ["500", "many", "-5"])
def test_length_that_is_not_true(api: APIClient, length: str) -> None:
    key = str(api._credentials["HTTP_AUTHORIZATION"])  # type: ignore[attr-defined]
    status, content = over_wsgi(key, io.BytesIO(b'{"name": "a"}'), CONTENT_LENGTH=length)
    assert (status, content["errors"][0]["code"]) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("query", "code", "attr"),
    [
        ("nme=x", "unknown_parameter", "nme"),
        ("page_size=0", "invalid", "page_size"),
        ("page_size=501", "invalid", "page_size"),
        ("page_size=-1", "invalid", "page_size"),
        ("page_size=x", "invalid", "page_size"),
        ("page_size=٣", "invalid", "page_size"),
        ("page_size=" + "9" * 5000, "invalid", "page_size"),
        ("page_size=1&page_size=2", "repeated_parameter", "page_size"),
        ("cursor=", "invalid_cursor", "cursor"),
        ("cursor=abc", "invalid_cursor", "cursor"),
        ("cursor=W10", "invalid_cursor", "cursor"),
        ("cursor=W2ZhbHNlLHsiYSI6MX1d", "invalid_cursor", "cursor"),
        ("cursor=%00", "invalid_string", "cursor"),
        ("a%00=1", "invalid_string", "a"),
        ("%FF=%FF", "unknown_parameter", "�"),
    ],
)
def test_query_parameters(api: APIClient, query: str, code: str, attr: str) -> None:
    answer = api.get(f"{URL}?{query}")
    assert answer.status_code == 400, answer.content
    error = only_error(answer)
    assert (error["code"], error["attr"]) == (code, attr)


def test_more_parameters_than_django_reads(api: APIClient) -> None:
    assert api.get(f"{URL}?{'&'.join(f'a{n}=1' for n in range(2000))}").status_code == 400


def test_post_takes_no_parameters(api: APIClient) -> None:
    assert api.post(f"{URL}?page_size=5", {"name": "a", "value": "x"}).status_code == 400


def test_url_with_nul(api: APIClient) -> None:
    answer = api.get(f"{URL}/a%00b")
    assert answer.status_code == 400
    assert only_error(answer)["code"] == "invalid_string"


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1/keys/a/b", "/api/v1/%FF%FE", "/api/v1/%00", "/api/v1//keys", "/api/"]
)
def test_unknown_address(api: APIClient, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert only_error(answer)["code"] == "not_found"


def test_methods(api: APIClient) -> None:
    for method in ("put", "patch", "delete", "trace"):
        answer = getattr(api, method)(URL)
        assert answer.status_code == 405
        assert set(answer["Allow"].split(", ")) == {"GET", "POST", "HEAD", "OPTIONS"}
        assert only_error(answer)["code"] == "method_not_allowed"
    assert api.generic("BREW", URL).status_code == 405
    assert (api.head(URL).status_code, api.head(URL).content) == (200, b"")
    assert (api.options(URL).status_code, api.options(URL).content) == (204, b"")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/*", 200),
        ("", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
        (";;;,,/", 406),
        ("\x00\xff", 406),
    ],
)
def test_what_is_accepted(api: APIClient, accept: str, status: int) -> None:
    answer = api.get(URL, HTTP_ACCEPT=accept)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"


def test_slash_at_the_end_changes_nothing(api: APIClient) -> None:
    assert api.post(f"{URL}/", {"name": "a", "value": "x"}).status_code == 201
    assert api.get(f"{URL}/a/").json() == api.get(f"{URL}/a").json()
    assert api.get(f"{URL}/").json() == api.get(URL).json()


TEXT = st.text(alphabet=st.characters(), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=8,
)
BODIES = VALUES | st.fixed_dictionaries(
    {}, optional={"name": VALUES, "value": VALUES, "role": VALUES, "expires_at": VALUES}
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, target=st.sampled_from(["/api/v1/keys", URL, f"{URL}/name"]))
def test_no_body_gives_a_server_error(api: APIClient, tenant: Tenant, body: object, target: str) -> None:
    method = "PUT" if target.endswith("/name") else "POST"
    answer = api.generic(method, target, json.dumps(body).encode(), content_type="application/json")
    assert answer.status_code in {200, 201, 400, 409}, answer.content


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=60))
def test_no_bytes_give_a_server_error(api: APIClient, raw: bytes) -> None:
    assert send(api, raw).status_code in {400, 201}
