"""What the commands share: a tenant that somebody names."""

from uuid import UUID

from django.core.management.base import CommandError

from tenants.models import Tenant


def tenant_of(key: str | None) -> UUID | None:
    """Find a tenant by its id or name, None where none is named; unknown ones end the command."""
    if key is None:
        return None
    try:
        wanted = Tenant.objects.filter(pk=UUID(key))
    except ValueError:
        wanted = Tenant.objects.filter(name=key)
    tenant = wanted.first()
    if tenant is None:
        raise CommandError(f"There is no tenant {key}.", returncode=2)
    return tenant.pk
