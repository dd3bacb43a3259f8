"""Channels and suppressed addresses in the admin; credentials are set here, and never shown."""

from __future__ import annotations

from typing import Any

import orjson
from django import forms
from django.contrib import admin
from django.http import HttpRequest

from flows.admin import pages
from flows.admin.pages import Button, FastPage, Indented, WithButtons, wide
from flows.admin.walks import among
from marketing.admin.channel_fields import config_help, credentials_help
from marketing.channels import editing, gate, registry
from marketing.channels.providers.log import Log
from marketing.channels.recipients import normalised
from marketing.deliveries import suppressions
from marketing.deliveries.suppressions import New
from marketing.models import CHANNELS, Channel, Suppression
from tenants.admin_pages import Form
from tenants.errors import Invalid

JSON = dict[str, Any]
CHOICES = [(name, name) for name in CHANNELS]


def _providers() -> list[tuple[str, str]]:
    return [(each.name, f"{each.title} ({', '.join(sorted(each.channels))})") for each in registry.all()]


class ChannelForm(Form[Channel]):
    """A channel, checked as over REST."""

    channel = forms.ChoiceField(choices=CHOICES, initial="email")
    # The log carries every channel, and asks for nothing.
    provider = forms.ChoiceField(choices=_providers, initial=Log.name)
    config = forms.JSONField(required=False, initial=dict, encoder=Indented, widget=wide(6))
    credentials = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={"size": 60}),
    )
    # Not the model's own: that there is one default is kept by the verb, which takes it from the other.
    default = forms.BooleanField(required=False, help_text="It takes the place of the present one.")

    class Meta:
        model = Channel
        fields = ("tenant", "name", "enabled", "rate_per_second")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, told in (("config", config_help), ("credentials", credentials_help)):
            if name in self.fields:
                self.fields[name].help_text = told(self.instance.provider)
        if not self.instance._state.adding:  # noqa: SLF001  # Django's way to tell
            self.initial["default"] = self.instance.is_default
            for name in {"channel", "provider"} & self.fields.keys():
                self.fields[name].disabled = True

    def clean_credentials(self) -> JSON | None:
        """Read the JSON; None where nothing was given."""
        text = str(self.cleaned_data["credentials"])
        if not text.strip():
            return None
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise forms.ValidationError("This has to be a JSON object.")
        return found

    def clean(self) -> JSON | None:
        """Say what the provider would not understand, beside its field."""
        found = super().clean()
        tenant = self.cleaned_data.get("tenant") or getattr(self.instance, "tenant", None)
        if self.errors or tenant is None:
            return found
        given = self.given()
        same = Channel.objects.for_tenant(tenant).filter(name=given["name"]).exclude(pk=self.instance.pk)
        if same.exists():
            self.add_error("name", "There is a channel of this name.")
        try:
            editing.prepared(self.stored() or editing.begun(tenant, given), given)
        except Invalid as refusal:
            for problem in refusal.problems:
                field = str(problem.attr).partition(".")[0]
                self.add_error(field if field in self.fields else None, f"{problem.attr}: {problem.detail}")
        return found

    def given(self) -> JSON:
        """What was sent, as the verbs take it."""
        facts = {**self.cleaned_data, "config": self.cleaned_data.get("config") or {}}
        # Of a new one that is not to be the default nothing is said: the first of its kind is it all the same.
        if facts.pop("default") or not self.instance._state.adding:  # noqa: SLF001  # Django's way to tell
            facts["is_default"] = self.cleaned_data["default"]
        if facts.get("credentials") is None:
            facts.pop("credentials", None)
        return facts

    def stored(self) -> Channel | None:
        """The row as it is kept, which the form has not touched."""
        return Channel.objects.filter(pk=self.instance.pk).first()


@admin.register(Channel)
class ChannelAdmin(WithButtons[Channel]):
    """What carries messages; a search is for an id or a name."""

    form = ChannelForm
    list_display = ("name", "channel", "provider", "is_default", "enabled", "health", "rate_per_second", "tenant")
    list_filter = ("channel", "provider", "enabled", "tenant")
    list_select_related = ("tenant", "gate")
    searched = ("name",)
    fields = (
        "tenant", "name", "channel", "provider", "health", "config", "credentials", "default", "enabled",
        "rate_per_second", "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = ("health", "created_at", "updated_at")

    @admin.display(description="health")
    def health(self, channel: Channel) -> str:
        """Show whether messages go through, or the provider is left in peace."""
        found = getattr(channel, "gate", None)
        if found is None or found.closed_until is None:
            return "working: messages go through"
        return f"resting until {pages.moment(found.closed_until)} UTC after {found.failures} failures in a row"

    @admin.display(description="has credentials", boolean=True)
    def has_credentials(self, channel: Channel) -> bool:
        """Show whether there are any, and nothing of them."""
        return bool(channel.ciphertext)

    def buttons(self) -> tuple[Button[Channel], ...]:
        """Try again at once."""
        return (Button("open", "Try again now", _open, shown=lambda row: hasattr(row, "gate")),)

    def get_fields(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        """Ask for what makes a new one; who may only look is shown what is kept."""
        if obj is None:
            return tuple(name for name in self.fields if name not in self.readonly_fields)
        if self.has_change_permission(request, obj):
            return self.fields
        shown = {"credentials": "has_credentials", "default": "is_default"}
        return tuple(shown.get(name, name) for name in self.fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        """A channel does not move to another tenant."""
        return (*self.readonly_fields, "tenant") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: Any) -> None:
        """Save by the verbs."""
        given, stored = form.given(), form.stored()
        made = editing.change(stored, given) if change else editing.create(given["tenant"], given)
        obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        """Delete by the verb."""
        editing.delete(obj)


class SuppressionForm(Form[Suppression]):
    """An address that is to get nothing more."""

    channel = forms.ChoiceField(choices=CHOICES)
    address = forms.CharField(max_length=512)

    class Meta:
        model = Suppression
        fields = ("tenant", "channel", "address")

    def clean(self) -> JSON | None:
        """Take it in the spelling that is compared."""
        found = super().clean()
        if not self.errors:
            address = normalised(self.cleaned_data["channel"], self.cleaned_data["address"])
            if not address:
                self.add_error("address", "This is no address of the channel.")
            self.cleaned_data["address"] = address
            same = Suppression.objects.for_tenant(self.cleaned_data["tenant"]).filter(address=address)
            if same.filter(channel=self.cleaned_data["channel"]).exists():
                self.add_error("address", "Nothing is sent to this address already.")
        return found


@admin.register(Suppression)
class SuppressionAdmin(FastPage[Suppression]):
    """Addresses that nothing is sent to; a search is for an id or an exact address. Deleting one sets it free."""

    form = SuppressionForm
    list_display = ("address", "channel", "reason", "created_at", "tenant")
    list_filter = (("channel", among(*CHANNELS)), "tenant")
    list_select_related = ("tenant",)
    searched = ("address",)
    fields = ("tenant", "channel", "address", "reason", "detail", "created_at")
    readonly_fields = ("reason", "detail", "created_at")

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        """One is added or deleted, and stays as it is meanwhile."""
        return False

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: Any) -> None:
        """Suppress by the verb; what is known stays as it is."""
        given = form.cleaned_data
        detail = {"by": pages.actor(request)}
        new = New(given["channel"], given["address"], "manual", detail)
        suppressions.suppress_many(given["tenant"].pk, [new])
        kept = Suppression.objects.for_tenant(given["tenant"])
        obj.__dict__.update(kept.get(channel=new.channel, address=new.address).__dict__)


def _open(channel: Channel, actor: str) -> str:
    gate.reopen(channel.pk)
    return "Messages go through again."
