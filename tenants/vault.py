"""Secrets at rest: encrypted with ENCRYPTION_KEY, readable by the product alone."""

from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from tenants.errors import KalciferError, UnknownSecret
from tenants.models import Secret, Tenant


class UnreadableSecret(KalciferError):
    """The secret was encrypted with another ENCRYPTION_KEY; set its value again."""

    code = "unreadable_secret"
    internal = True


def encrypt(value: str) -> str:
    """The ciphertext of a value."""
    return _cipher(_keys()).encrypt(value.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """The value of a ciphertext; `UnreadableSecret` when the key is another."""
    try:
        return _cipher(_keys()).decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        raise UnreadableSecret from None


def create(tenant: Tenant, *, name: str, value: str) -> Secret | None:
    """A new secret; None when there is one of this name, which is then left as it is."""
    secret, is_new = Secret.objects.get_or_create(tenant=tenant, name=name, defaults={"ciphertext": encrypt(value)})
    return secret if is_new else None


def store(tenant: Tenant, *, name: str, value: str) -> tuple[Secret, bool]:
    """Create or replace a secret; the second value says whether it is new."""
    return Secret.objects.update_or_create(tenant=tenant, name=name, defaults={"ciphertext": encrypt(value)})


def read(tenant: Tenant | UUID, name: str) -> str:
    """The value of a tenant's secret, for the code that sends it; `UnknownSecret` when there is none."""
    found = Secret.objects.for_tenant(tenant).filter(name=name).first()
    if found is None:
        raise UnknownSecret(f"There is no secret named {name!r}.")
    return decrypt(found.ciphertext)


def _keys() -> str:
    # A foreign project that has set nothing is as safe as its SECRET_KEY.
    return getattr(settings, "ENCRYPTION_KEY", "") or settings.SECRET_KEY


@lru_cache(maxsize=4)
def _cipher(keys: str) -> MultiFernet:
    # Any text serves as a key; several, split by commas, allow one to be replaced: the first encrypts, all decrypt.
    digests = (sha256(key.strip().encode()).digest() for key in keys.split(","))
    return MultiFernet([Fernet(urlsafe_b64encode(digest)) for digest in digests])
