"""`manage.py create_tenant`: a tenant and its first key, for people and for scripts."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tenants import authentication
from tenants.ids import uuid7
from tenants.models import ApiKey, Role, Tenant

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = StringIO()
    call_command("create_tenant", *words, stdout=out)
    return out.getvalue()


def test_json_is_one_document_with_three_fields() -> None:
    found = json.loads(run("Acme", "--json"))
    assert set(found) == {"tenant_id", "name", "api_key"}
    holder = authentication.identify(found["api_key"])
    assert (str(holder.tenant.pk), holder.role, found["name"]) == (found["tenant_id"], Role.ADMIN, "Acme")


def test_text_shows_the_key() -> None:
    shown = run("Acme")
    key = ApiKey.objects.get()
    assert str(key.tenant_id) in shown
    assert key.prefix in shown


@pytest.mark.parametrize(("name", "code"), [("default", 3), ("", 2), ("  ", 2), ("a\x00", 2), ("x" * 256, 2)])
def test_name_that_cannot_be(name: str, code: int) -> None:
    with pytest.raises(CommandError) as refused:
        run(name)
    assert refused.value.returncode == code
    assert Tenant.objects.count() == 1
    assert not ApiKey.objects.exists()


def test_default_tenant_is_there() -> None:
    assert Tenant.objects.get().name == "default"


def test_ids_sort_by_time_of_making() -> None:
    drawn = [uuid7() for _ in range(5000)]
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == 5000
    assert {(made.version, made.variant) for made in drawn} == {(7, "specified in RFC 4122")}
