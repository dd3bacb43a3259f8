"""Keys and secrets over REST."""

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from tenants import keys, vault
from tenants.api import serializers
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import NameTaken
from tenants.models import ApiKey, Role, Secret


class KeysView(TenantView):
    """The tenant's API keys."""

    Input = serializers.KeyInput
    Output = serializers.KeySerializer
    paginated = True
    read_role = write_role = Role.ADMIN

    def get(self, request: TenantRequest) -> Response:
        """All keys, also revoked and expired ones."""
        return self.paginate(ApiKey.objects.for_tenant(request.tenant), self.Output)

    @extend_schema(responses={201: serializers.IssuedKeySerializer})
    def post(self, request: TenantRequest) -> Response:
        """A new key; its raw text is in this answer and in no other."""
        key, raw = keys.issue(request.tenant, **self.parse(self.Input))
        return Response({**self.Output(key).data, "api_key": raw}, status=201)


class KeyView(TenantView):
    """One API key."""

    Output = serializers.KeySerializer
    read_role = write_role = Role.ADMIN

    def get(self, request: TenantRequest, key_id: str) -> Response:
        """The key without its raw text."""
        return Response(self.Output(self.get_row(ApiKey, key_id)).data)

    def delete(self, request: TenantRequest, key_id: str) -> Response:
        """Revoke the key: within two seconds nobody can use it. Revoking it again changes nothing."""
        keys.revoke(self.get_row(ApiKey, key_id))
        return Response(status=204)


class SecretsView(TenantView):
    """The tenant's secrets, by name."""

    Input = serializers.SecretInput
    Output = serializers.SecretSerializer
    paginated = True

    def get(self, request: TenantRequest) -> Response:
        """The names, in alphabetical order; values are write-only."""
        return self.paginate(Secret.objects.for_tenant(request.tenant), self.Output, ordering=("name",))

    def post(self, request: TenantRequest) -> Response:
        """A new secret; `name_taken` when there is one of this name."""
        created = vault.create(request.tenant, **self.parse(self.Input))
        if created is None:
            raise NameTaken("There is a secret of this name; PUT replaces its value.", attr="name")
        return Response(self.Output(created).data, status=201)


class SecretView(TenantView):
    """One secret."""

    Input = serializers.SecretValue
    Output = serializers.SecretSerializer

    def get(self, request: TenantRequest, name: str) -> Response:
        """When it was set; the value is write-only."""
        return Response(self.Output(self.get_row(Secret, name, field="name")).data)

    @extend_schema(responses={200: serializers.SecretSerializer, 201: serializers.SecretSerializer})
    def put(self, request: TenantRequest, name: str) -> Response:
        """Create the secret or replace its value."""
        sent = self.parse(serializers.SecretInput, add={"name": name})
        secret, is_new = vault.store(request.tenant, **sent)
        return Response(self.Output(secret).data, status=201 if is_new else 200)

    def delete(self, request: TenantRequest, name: str) -> Response:
        """Delete it; what needs it will fail from now on."""
        self.get_row(Secret, name, field="name").delete()
        return Response(status=204)
