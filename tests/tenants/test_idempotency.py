"""`Idempotency-Key`: one act, one answer, for 24 hours."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now
from rest_framework.test import APIClient

from tenants import idempotency, keys
from tenants.api.views import KeysView
from tenants.errors import IdempotencyInProgress
from tenants.models import ApiKey, IdempotencyKey, Tenant

URL = "/api/v1/keys"


def post(api: APIClient, body: object, key: str = "one", **more: Any) -> Any:
    return api.post(URL, body, headers={"idempotency-key": key}, **more)


@pytest.mark.django_db
def test_same_request_gets_the_same_answer(api: APIClient, tenant: Tenant) -> None:
    first, second = post(api, {"name": "ci"}), post(api, {"name": "ci"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert ApiKey.objects.filter(tenant=tenant, name="ci").count() == 1


@pytest.mark.django_db
def test_trailing_slash_is_the_same_request(api: APIClient) -> None:
    first = post(api, {})
    second = api.post(f"{URL}/", {}, headers={"idempotency-key": "one"})
    assert second.content == first.content


@pytest.mark.django_db
def test_other_body_is_refused(api: APIClient) -> None:
    post(api, {"name": "a"})
    refused = post(api, {"name": "b"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "idempotency_key_reused"


@pytest.mark.django_db
def test_other_call_is_refused(api: APIClient) -> None:
    post(api, {"name": "a"})
    refused = api.post("/api/v1/secrets", {"name": "a"}, headers={"idempotency-key": "one"})
    assert refused.status_code == 422


@pytest.mark.django_db
def test_refused_act_can_be_sent_again(api: APIClient) -> None:
    assert post(api, {"role": "owner"}).status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert post(api, {"role": "viewer"}).status_code == 201


@pytest.mark.django_db
def test_day_later_the_key_is_free(api: APIClient) -> None:
    first = post(api, {}).json()
    IdempotencyKey.objects.update(created_at=now() - timedelta(hours=24, seconds=1))
    assert post(api, {}).json()["id"] != first["id"]
    IdempotencyKey.objects.update(created_at=now() - timedelta(hours=25))
    assert idempotency.prune() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é", "a\x00"])
def test_keys_are_short_and_printable(api: APIClient, key: str) -> None:
    refused = post(api, {}, key)
    assert refused.status_code == 400
    assert refused.json()["errors"][0] | {"detail": ""} == {
        "code": "invalid_idempotency_key",
        "detail": "",
        "attr": "Idempotency-Key",
    }


@pytest.mark.django_db
def test_raw_key_in_a_stored_answer_is_encrypted(api: APIClient) -> None:
    raw = post(api, {}).json()["api_key"]
    assert raw not in IdempotencyKey.objects.get().body


@pytest.mark.django_db(transaction=True)
def test_failure_leaves_neither_act_nor_answer(api: APIClient, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def act_and_fail(self: KeysView, request: Any) -> Any:
        keys.issue(request.tenant, name="half done")
        raise RuntimeError("after the act")

    with monkeypatch.context() as patched:
        patched.setattr(KeysView, "post", act_and_fail)
        assert post(api, {}).status_code == 500
    assert not ApiKey.objects.filter(name="half done").exists()
    assert not IdempotencyKey.objects.exists()
    assert post(api, {}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_second_while_the_first_runs(tenant: Tenant) -> None:
    running, go_on = Event(), Event()
    answers: list[idempotency.Answer] = []

    def slow() -> idempotency.Answer:
        running.set()
        assert go_on.wait(60)
        return idempotency.Answer(201, b"{}")

    def first() -> None:
        answers.append(idempotency.once(tenant.pk, "k", of="f", act=slow))
        connection.close()

    thread = Thread(target=first)
    thread.start()
    assert running.wait(60)
    with pytest.raises(IdempotencyInProgress):
        idempotency.once(tenant.pk, "k", of="f", act=slow)
    go_on.set()
    thread.join()
    assert idempotency.once(tenant.pk, "k", of="f", act=slow).replayed
    assert not answers[0].replayed


@pytest.mark.django_db(transaction=True)
def test_racing_requests_act_once(tenant: Tenant, client_of: Callable[..., APIClient]) -> None:
    clients = [client_of(tenant) for _ in range(4)]
    barrier, statuses = Barrier(4), []

    def race(client: APIClient) -> None:
        barrier.wait()
        answer = post(client, {"name": "raced"})
        statuses.append((answer.status_code, answer.json().get("id") or answer.json()["errors"][0]["code"]))
        connection.close()

    threads = [Thread(target=race, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ApiKey.objects.filter(name="raced").count() == 1
    only = str(ApiKey.objects.get(name="raced").pk)
    assert {status for status, _ in statuses} <= {201, 409}
    assert {said for _, said in statuses} <= {only, "idempotency_in_progress"}
    assert (201, only) in statuses
