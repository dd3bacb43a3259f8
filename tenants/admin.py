"""Tenants, keys, secrets and stored answers in the admin."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from tenants import keys, vault
from tenants.admin_pages import Form, OperatorPage
from tenants.models import ApiKey, IdempotencyKey, Secret, Tenant


@admin.register(Tenant)
class TenantAdmin(OperatorPage[Tenant]):
    """Tenants by name."""

    list_display = ("name", "id", "timezone", "created_at")
    search_fields = ("name", "id")
    readonly_fields = ("id", "created_at")


@admin.register(ApiKey)
class ApiKeyAdmin(OperatorPage[ApiKey]):
    """Keys: the raw text is shown once, in the message after adding; the hash never."""

    list_display = ("prefix", "name", "tenant", "role", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("role", ("revoked_at", admin.EmptyFieldListFilter), "tenant")
    list_select_related = ("tenant",)
    search_fields = ("prefix", "name", "tenant__name")
    autocomplete_fields = ("tenant",)
    fields = ("tenant", "name", "role", "expires_at", "prefix", "revoked_at", "last_used_at", "created_at")
    readonly_fields = ("prefix", "revoked_at", "last_used_at", "created_at")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """A key does not move to another tenant."""
        return (*self.readonly_fields, "tenant") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: Any) -> None:
        """A new key is issued here, and its raw text told."""
        if change:
            super().save_model(request, obj, form, change)
            return
        issued, raw = keys.issue(obj.tenant, name=obj.name, role=obj.role, expires_at=obj.expires_at)
        obj.__dict__.update(issued.__dict__)
        messages.warning(request, f"The API key is {raw}: copy it now, it is shown this once.")

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Take the keys out of use."""
        for key in queryset:
            keys.revoke(key)
        messages.success(request, "The keys are revoked; within two seconds nobody can use them.")


class SecretForm(Form[Secret]):
    """A secret's value can be set and replaced, and is never shown."""

    value = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(render_value=False),
        help_text="Empty leaves the value as it is.",
    )

    class Meta:
        model = Secret
        fields = ("tenant", "name")

    def clean_value(self) -> str:
        """A new secret needs a value."""
        value = str(self.cleaned_data["value"])
        if not value and self.instance._state.adding:  # noqa: SLF001
            raise forms.ValidationError("A new secret needs a value.")
        return value

    def save(self, commit: bool = True) -> Secret:  # noqa: FBT001, FBT002  # Django's signature
        """Encrypt the value on its way."""
        if self.cleaned_data["value"]:
            self.instance.ciphertext = vault.encrypt(self.cleaned_data["value"])
        saved: Secret = super().save(commit)
        return saved


@admin.register(Secret)
class SecretAdmin(OperatorPage[Secret]):
    """Secrets by name; values are write-only."""

    form = SecretForm
    list_display = ("name", "tenant", "created_at", "updated_at")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name")
    autocomplete_fields = ("tenant",)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(OperatorPage[IdempotencyKey]):
    """Answers that are kept for 24 hours, to look at; their bodies are encrypted."""

    list_display = ("key", "tenant", "status_code", "created_at")
    list_filter = ("status_code", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("=key",)
    fields = readonly_fields = ("id", "tenant", "key", "status_code", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They come from requests alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: IdempotencyKey | None = None) -> bool:
        """They are what was answered."""
        return False
