"""What messages are made of, in the admin: templates with their versions and a preview, links, coupon pools."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.http import HttpRequest
from django.utils.safestring import SafeString

from engine import clock, ports
from flows.admin import pages
from flows.admin.pages import Button, FastPage, Indented, ReadOnlyPage, WithButtons, pretty, wide
from marketing.api.template_shapes import SLUG
from marketing.coupons import pools
from marketing.links.addresses import BUILT_IN
from marketing.models import CHANNELS, Coupon, CouponPool, Link, Template, TemplateVersion
from marketing.templates import drafts, store, variables
from marketing.templates.content import Content
from marketing.templates.errors import CannotRender
from tenants.admin_pages import Form
from tenants.errors import Invalid, Problem

MAX_CODES = 100_000
SHOWN = 1_000
SLUG_RULE = RegexValidator(SLUG, "Letters, digits, and . _ - between them, at most 64.")


class TemplateForm(Form[Template]):
    """A wording, checked as over REST."""

    channel = forms.ChoiceField(choices=[(name, name) for name in CHANNELS])
    content = forms.JSONField(
        encoder=Indented,
        widget=wide(12),
        help_text='Liquid by part: {"subject": "Hi {{ participant.name }}", "html": …}',
    )
    locales = forms.JSONField(
        required=False,
        initial=dict,
        encoder=Indented,
        widget=wide(6),
        help_text='The parts that differ: {"de": {"subject": …}}',
    )

    class Meta:
        model = Template
        fields = ("tenant", "slug", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "slug" in self.fields:
            self.fields["slug"].validators.append(SLUG_RULE)
        if not self.instance._state.adding:  # noqa: SLF001  # Django's way to tell
            present = store.content_of(self.instance)
            self.initial.update({"content": present.parts, "locales": present.locales, "channel": present.channel})
            if "channel" in self.fields:
                self.fields["channel"].disabled = True

    def clean(self) -> dict[str, Any] | None:
        """Name the part and the line of a mistake."""
        found = super().clean()
        parts, locales = self.cleaned_data.get("content"), self.cleaned_data.get("locales") or {}
        channel = self.cleaned_data.get("channel") or self.instance.channel
        if "content" in self.errors or "locales" in self.errors or channel not in CHANNELS:
            return found
        if parts is None or not _is_text_by_name(parts):
            raise ValidationError({"content": "This has to be an object of texts, one for each part."})
        if not isinstance(locales, dict) or not all(map(_is_text_by_name, locales.values())):
            raise ValidationError({"locales": "This has to be an object of contents, one for each locale."})
        try:
            store.check(Content(channel, parts, locales))
        except Invalid as refusal:
            for problem in refusal.problems:
                field = "locales" if str(problem.attr).startswith("locales") else "content"
                self.add_error(field, f"{problem.attr}: {problem.detail}")
        return found


@admin.register(Template)
class TemplateAdmin(WithButtons[Template]):
    """Messages; a search is for an id or a slug."""

    form = TemplateForm
    list_display = ("slug", "name", "channel", "version", "updated_at", "tenant")
    list_filter = ("channel", "tenant")
    list_select_related = ("tenant",)
    searched = ("slug",)
    fields = ("tenant", "slug", "name", "channel", "content", "locales", "version", "variables_text", "updated_at")
    readonly_fields = ("version", "variables_text", "updated_at")

    @admin.display(description="variables it reads")
    def variables_text(self, template: Template) -> str:
        """Show what it needs."""
        if template._state.adding:  # noqa: SLF001  # Django's way to tell
            return ""
        return ", ".join(variables.names_of(store.content_of(template)))

    def buttons(self) -> tuple[Button[Template], ...]:
        """Look at it as a customer would get it."""
        return (Button("preview", "Preview for customer", _preview, asks="participant_id"),)

    def get_readonly_fields(self, request: HttpRequest, obj: Template | None = None) -> Any:
        """Flows name its slug."""
        return (*self.readonly_fields, "tenant", "slug") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: Any) -> None:
        """Save by the verbs: each wording is a version."""
        given, by = form.cleaned_data, pages.actor(request)
        if change:
            obj.save(update_fields=["name"])
            made = store.reword(obj, parts=given["content"], locales=given["locales"] or {}, actor=by)
        else:
            facts = {"channel": given["channel"], "locales": given["locales"] or {}, "name": given["name"]}
            made = store.create(obj.tenant, obj.slug, parts=given["content"], actor=by, **facts)
        obj.__dict__.update(made.__dict__)


@admin.register(TemplateVersion)
class TemplateVersionAdmin(ReadOnlyPage[TemplateVersion]):
    """Every wording there ever was; a search is for the id of a template."""

    list_display = ("template", "number", "created_at", "created_by", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant", "template")
    ids = ("id", "template_id")
    fields = ("template", "number", "content_text", "locales_text", "created_at", "created_by", "tenant")
    readonly_fields = ("content_text", "locales_text")

    @admin.display(description="content")
    def content_text(self, version: TemplateVersion) -> SafeString:
        """Show the parts."""
        return pretty(version.content)

    @admin.display(description="locales")
    def locales_text(self, version: TemplateVersion) -> SafeString:
        """Show the parts that differ."""
        return pretty(version.locales)


class LinkForm(Form[Link]):
    """A link to a page of the web."""

    url = forms.URLField(max_length=2048, assume_scheme="https")

    class Meta:
        model = Link
        fields = ("tenant", "slug", "url")

    def clean_slug(self) -> str:
        """What a slug may be."""
        slug: str = self.cleaned_data["slug"]
        SLUG_RULE(slug)
        if slug in BUILT_IN:
            raise ValidationError("This link is built in.")
        return slug

    def clean_url(self) -> str:
        """Pages of the web alone."""
        url: str = self.cleaned_data["url"]
        if not url.startswith(("https://", "http://")):
            raise ValidationError("Write an address that begins with https:// or http://.")
        return url


@admin.register(Link)
class LinkAdmin(FastPage[Link]):
    """The tenants' own pages."""

    form = LinkForm
    list_display = ("slug", "url", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    searched = ("slug",)

    def get_readonly_fields(self, request: HttpRequest, obj: Link | None = None) -> Any:
        """Flows name its slug."""
        return ("tenant", "slug") if obj else ()

    def save_model(self, request: HttpRequest, obj: Link, form: Any, change: Any) -> None:
        """A new one is of now."""
        obj.created_at = obj.created_at or clock.now()
        obj.save()


class PoolForm(Form[CouponPool]):
    """A pool, and codes to put into it."""

    codes = forms.CharField(required=False, widget=forms.Textarea, help_text="New codes, one on each line.")

    class Meta:
        model = CouponPool
        fields = ("tenant", "slug", "name")

    def clean_codes(self) -> list[str]:
        """One on each line."""
        codes = [line.strip() for line in str(self.cleaned_data["codes"]).splitlines() if line.strip()]
        if len(codes) > MAX_CODES or any(len(code) > 255 for code in codes):  # noqa: PLR2004  # the column's length
            raise ValidationError(f"At most {MAX_CODES} codes at once, of at most 255 characters each.")
        return codes


@admin.register(CouponPool)
class CouponPoolAdmin(FastPage[CouponPool]):
    """Pools of codes."""

    form = PoolForm
    list_display = ("slug", "name", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    searched = ("slug",)
    fields = ("tenant", "slug", "name", "codes", "counts")
    readonly_fields = ("counts",)

    @admin.display(description="codes")
    def counts(self, pool: CouponPool) -> str:
        """Tell how many are left."""
        if pool._state.adding:  # noqa: SLF001  # Django's way to tell
            return "none"
        return ", ".join(f"{count} {name}" for name, count in pools.counts(pool).items())

    def get_readonly_fields(self, request: HttpRequest, obj: CouponPool | None = None) -> Any:
        """Flows name its slug."""
        return (*self.readonly_fields, "tenant", "slug") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: CouponPool, form: Any, change: Any) -> None:
        """The pool, and the codes that it did not have."""
        obj.created_at = obj.created_at or clock.now()
        obj.save()
        if form.cleaned_data["codes"]:
            pools.add(obj, form.cleaned_data["codes"])


@admin.register(Coupon)
class CouponAdmin(ReadOnlyPage[Coupon]):
    """Codes, and who has them; a search is for the id of a pool."""

    list_display = ("code", "pool", "participant_id", "taken_at", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant", "pool")
    ids = ("id", "pool_id")
    fields = ("code", "pool", "key", "participant_id", "taken_at", "tenant")


def _is_text_by_name(parts: Any) -> bool:
    return isinstance(parts, dict) and all(isinstance(text, str) for text in parts.values())


def _preview(template: Template, actor: str, participant_id: str) -> str:
    tenant_id = str(template.tenant_id)
    found = ports.bound().profiles.fetch_many(tenant_id, [participant_id]) if participant_id else {}
    known = found.get(participant_id)
    if participant_id and known is None:
        raise Invalid([Problem("unresolved_reference", f"There is no customer {participant_id}.", "participant_id")])
    locale = str((known or {}).get("locale") or "")
    content = store.content_of(template)
    draft = drafts.Draft("preview", participant_id or "preview", content, locale=locale, participant=known)
    try:
        letter = drafts.compose(tenant_id, draft)
    except CannotRender as error:
        way_out = "" if known else " Write the id of a customer beside the button."
        return f"{error.place()}: {error.detail}{way_out} Other values are given as vars over REST."
    return " — ".join(f"{name}: {text[:SHOWN]}" for name, text in letter.parts.items())
