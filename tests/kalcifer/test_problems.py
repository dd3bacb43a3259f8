"""Every error is JSON of one shape, with the status that its class has."""

import io
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import DataError, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from rest_framework.test import APIClient

from kalcifer import problems
from tenants import keys
from tenants.api.views import SecretsView
from tenants.errors import KalciferError, RateLimited
from tenants.models import Role, Tenant


def every(kind: type[KalciferError]) -> list[type[KalciferError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in every(below))]


def test_every_error_has_a_status_or_is_internal() -> None:
    known = [kind for kind in every(KalciferError)[1:] if not kind.internal and kind.__subclasses__() == []]
    assert [kind.__name__ for kind in known if not any(above in problems.STATUS_FOR for above in kind.__mro__)] == []
    assert [kind.__name__ for kind in known if not kind.__doc__ or kind.code == KalciferError.code] == []


@pytest.fixture
def api(db: None) -> APIClient:
    _, raw = keys.issue(Tenant.objects.create(name="Acme"), role=Role.ADMIN)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    return client


def answer_to(api: APIClient, error: Exception) -> Any:
    def fail(self: SecretsView, request: Any) -> Any:
        raise error

    with patch.object(SecretsView, "get", fail):
        return api.get("/api/v1/secrets")


def database_error(kind: type[Exception], cause: Exception | None) -> Exception:
    error = kind("the database said no")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (database_error(OperationalError, psycopg.OperationalError("connection refused")), 503, "database_unavailable"),
        (database_error(InterfaceError, None), 503, "database_unavailable"),
        (database_error(OperationalError, psycopg.errors.AdminShutdown()), 503, "database_unavailable"),
        (database_error(OperationalError, psycopg.errors.TooManyConnections()), 503, "database_unavailable"),
        (database_error(OperationalError, psycopg.errors.LockNotAvailable()), 503, "busy"),
        (database_error(OperationalError, psycopg.errors.DeadlockDetected()), 503, "busy"),
        (database_error(OperationalError, psycopg.errors.SerializationFailure()), 503, "busy"),
        (database_error(OperationalError, psycopg.errors.QueryCanceled()), 503, "busy"),
        (database_error(DataError, psycopg.errors.NumericValueOutOfRange()), 400, "invalid_value"),
        (database_error(OperationalError, psycopg.errors.ProgramLimitExceeded()), 400, "invalid_value"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), 400, "invalid_value"),
        (database_error(OperationalError, psycopg.errors.InternalError_()), 500, "error"),
        (RuntimeError("a bug with a secret in it"), 500, "error"),
    ],
)
def test_errors_by_status(api: APIClient, error: Exception, status: int, code: str) -> None:
    answer = answer_to(api, error)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert ("Retry-After" in answer) == (status == 503)
    assert "secret" not in answer.content.decode()
    assert answer.json()["type"] == ("validation_error" if status == 400 else "server_error")
    assert (answer.json().get("request_id") == answer["X-Request-Id"]) == (status >= 500)


def test_what_stands_beside_errors(api: APIClient) -> None:
    answer = answer_to(api, RateLimited("Later.", attr="x", extra={"instance_id": "i"}, retry_after=2.1))
    assert answer.json() == {
        "type": "client_error",
        "errors": [{"code": "throttled", "detail": "Later.", "attr": "x"}],
        "instance_id": "i",
    }
    assert answer["Retry-After"] == "3"


@pytest.mark.django_db
def test_addresses_outside_of_the_api_are_pages(client: Client) -> None:
    assert client.get("/api/v2/flows")["Content-Type"] == "application/json"
    assert client.get("/nothing")["Content-Type"].startswith("text/html")


@pytest.mark.django_db
def test_host_that_is_not_ours(client: Client) -> None:
    answer = client.get("/api/v1/secrets", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "bad_request"


def raw_request(path: str) -> tuple[int, bytes]:
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    content = b"".join(WSGIHandler()(environ, lambda status, *_: statuses.append(status)))
    return int(statuses[0][:3]), content


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/api/v1/\xff\xfe", "/api/v1/\x00", "/api/v1/keys/\xc3\x28", "/api/v1/secrets\r\n"])
def test_malformed_addresses(path: str) -> None:
    status, content = raw_request(path)
    assert status in {400, 401, 404}
    assert content.startswith(b'{"type":"')


@pytest.mark.django_db
def test_database_away(client: Client) -> None:
    client.raise_request_exception = False
    gone = OperationalError("connection failed")
    with patch.object(BaseDatabaseWrapper, "cursor", side_effect=gone):
        api = client.get("/api/v1/secrets", headers={"authorization": "Bearer kal_x"})
        page = client.get("/admin/", headers={"cookie": "sessionid=abcdefgh"})
    assert (api.status_code, api["Retry-After"], api.json()["errors"][0]["code"]) == (503, "1", "database_unavailable")
    assert (page.status_code, page["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(("address", "kind"), [("/api/v1/health", "application/json"), ("/admin/", "text/plain")])
def test_a_name_that_is_not_answered_to_is_told_with_the_setting(
    client: Client, settings: Any, address: str, kind: str
) -> None:
    settings.ALLOWED_HOSTS = ["kalcifer.example"]

    answer = client.get(address, headers={"host": "elsewhere.example"})

    assert (answer.status_code, answer["Content-Type"]) == (400, kind)
    assert "ALLOWED_HOSTS" in answer.content.decode()
