import pytest

from engine import ports
from engine.vault_lookup import VaultLookup
from tenants import vault
from tenants.models import Tenant

pytestmark = pytest.mark.django_db


def test_a_tenant_reads_its_own_secrets_only():
    ours, theirs = (Tenant.objects.create(name=name) for name in ("ours", "theirs"))
    vault.create(ours, name="crm", value="s3cret")
    lookup = VaultLookup()
    assert lookup.fetch(str(ours.pk), "crm") == "s3cret"
    assert lookup.fetch(str(ours.pk), "shop") is None
    assert lookup.fetch(str(theirs.pk), "crm") is None
    assert lookup.existing(str(ours.pk), ["crm", "shop"]) == {"crm"}
    assert lookup.existing(str(theirs.pk), ["crm"]) == frozenset()


def test_it_is_what_nodes_ask():
    assert isinstance(ports.bound().secrets, VaultLookup)
