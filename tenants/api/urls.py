"""The URLs of keys and secrets, to be included below /api/v1/."""

from tenants.api.routing import path
from tenants.api.views import KeysView, KeyView, SecretsView, SecretView

urlpatterns = [
    path("keys", KeysView.as_view(), "keys"),
    path("keys/<str:key_id>", KeyView.as_view(), "key"),
    path("secrets", SecretsView.as_view(), "secrets"),
    path("secrets/<str:name>", SecretView.as_view(), "secret"),
]
