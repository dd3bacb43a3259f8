"""The SecretLookup of the product: the tenants' vault."""

from collections.abc import Sequence
from uuid import UUID

from tenants import vault
from tenants.errors import UnknownSecret
from tenants.models import Secret


class VaultLookup:
    """Reads secrets by name, a tenant's own only."""

    def fetch(self, tenant_id: str, name: str) -> str | None:
        """Give a secret's value, or None when there is none of this name."""
        try:
            return vault.read(UUID(tenant_id), name)
        except UnknownSecret:
            return None

    def existing(self, tenant_id: str, names: Sequence[str]) -> frozenset[str]:
        """Tell which of the secrets there are, in one query."""
        found = Secret.objects.for_tenant(UUID(tenant_id)).filter(name__in=names)
        return frozenset(found.values_list("name", flat=True))
