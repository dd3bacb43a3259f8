"""Templates over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import clock, ports
from engine.expressions import Scope, resolve
from engine.nodes import message_vars
from engine.nodes.message_vars import Resolved
from marketing.api.template_shapes import (
    TemplateInput,
    TemplatePatch,
    TemplatePreviewInput,
    TemplatePreviewShape,
    TemplateShape,
    TemplateSummary,
    TemplateVersionShape,
    WordingInput,
)
from marketing.models import CHANNELS, Template, TemplateVersion
from marketing.templates import content as wordings
from marketing.templates import drafts, store, variables
from marketing.templates.content import Content
from marketing.templates.errors import CannotRender
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import Invalid, NotFound, Problem

MAX_CONTENT = 4 * 1024 * 1024


class TemplatesView(TenantView):
    """The tenant's templates."""

    class Filters(serializers.Serializer[Any]):
        """Of one channel."""

        channel = serializers.ChoiceField(choices=CHANNELS, required=False)

    paginated = True
    max_body = MAX_CONTENT
    Output = TemplateSummary

    def get(self, request: TenantRequest) -> Response:
        """List templates by their ids, in alphabetical order."""
        rows = Template.objects.for_tenant(request.tenant).filter(**self.filters())
        return self.paginate(rows, TemplateSummary, ordering=("slug",))

    @extend_schema(request=TemplateInput, responses={201: TemplateShape})
    def post(self, request: TenantRequest) -> Response:
        """Make a template; its wording is checked part by part."""
        given = self.parse(TemplateInput)
        template = store.create(
            request.tenant,
            given["template_id"],
            channel=given["channel"],
            parts=given["content"],
            locales=given.get("locales"),
            name=given.get("name", given["template_id"]),
            actor=request.principal.actor,
        )
        return Response(shape_of(template), status=201)


class OneTemplate(TenantView):
    """What the views of one template share."""

    max_body = MAX_CONTENT

    def template(self, template_id: str) -> Template:
        """The template of this name, or of this id."""
        found = Template.objects.for_tenant(self.request.tenant).filter(slug=template_id).first()  # type: ignore[attr-defined]  # a TenantRequest
        return found or self.get_row(Template, template_id)


class TemplateView(OneTemplate):
    """One template, by its `template_id`."""

    Output = TemplateShape

    def get(self, request: TenantRequest, template_id: str) -> Response:
        """The version in use, with the variables that it reads."""
        return Response(shape_of(self.template(template_id)))

    @extend_schema(request=WordingInput, responses={200: TemplateShape})
    def put(self, request: TenantRequest, template_id: str) -> Response:
        """Give it another wording: a new version, in use from now on; messages on their way are written with it too."""
        template, given = self.template(template_id), self.parse(WordingInput)
        if "name" in given:
            self.rename(template, given["name"])
        return Response(shape_of(self.reword(request, template, given["content"], given.get("locales"))))

    @extend_schema(request=TemplatePatch, responses={200: TemplateShape})
    def patch(self, request: TenantRequest, template_id: str) -> Response:
        """Rename it, go back to a version, or change the content or the locales alone (a new version)."""
        template, given = self.template(template_id), self.parse(TemplatePatch)
        if "version" in given and given.keys() & {"content", "locales"}:
            raise Invalid([Problem("invalid", "A version that there is, or another wording; not both.", "version")])
        if given.keys() & {"content", "locales"}:
            present = store.content_of(template)
            parts = given.get("content", dict(present.parts))
            template = self.reword(request, template, parts, given.get("locales", dict(present.locales)))
        if "version" in given:
            template = store.use(template, given["version"])
        if "name" in given:
            self.rename(template, given["name"])
        return Response(shape_of(template))

    def delete(self, request: TenantRequest, template_id: str) -> Response:
        """Delete it with its versions; what would send it fails from now on."""
        self.template(template_id).delete()
        return Response(status=204)

    def reword(self, request: TenantRequest, template: Template, parts: Any, locales: Any) -> Template:
        """A new version."""
        return store.reword(template, parts=parts, locales=locales, actor=request.principal.actor)

    def rename(self, template: Template, name: str) -> None:
        """The name for people."""
        template.name = name
        template.save(update_fields=["name"])


class TemplateVersionsView(OneTemplate):
    """Every wording that a template ever had."""

    paginated = True
    Output = TemplateVersionShape

    def get(self, request: TenantRequest, template_id: str) -> Response:
        """List versions, newest first."""
        rows = TemplateVersion.objects.for_tenant(request.tenant).filter(template=self.template(template_id))
        return self.paginate(rows, TemplateVersionShape, ordering=("-number",))


class PreviewView(OneTemplate):
    """A template as somebody would get it."""

    @extend_schema(request=TemplatePreviewInput, responses={200: TemplatePreviewShape})
    def post(self, request: TenantRequest, template_id: str) -> Response:
        """Render for a customer, or for one made up in `participant`; nothing is sent, and no coupon is taken."""
        template, given = self.template(template_id), self.parse(TemplatePreviewInput)
        content = _chosen(template, given)
        participant = _participant(request.tenant.pk, given)
        locale = given.get("locale") or str(participant.get("locale") or "")
        draft = drafts.Draft(
            "preview",
            given.get("participant_id", "preview"),
            content,
            _resolved(given, participant),
            locale=locale,
            participant=participant,
            entry=given.get("entry", {}),
            event=given.get("event"),
        )
        try:
            letter = drafts.compose(str(request.tenant.pk), draft)
        except CannotRender as error:
            attr = f"content.{error.part}" if error.part else None
            line = "" if error.line is None else f"Line {error.line}: "
            raise Invalid([Problem(error.reason.partition(":")[0], f"{line}{error.detail}", attr)]) from error
        return Response({"locale": letter.locale, "rendered": letter.parts})


def shape_of(template: Template) -> dict[str, Any]:
    """A template as clients see it."""
    content = store.content_of(template)
    row = {
        "id": template.pk,
        "template_id": template.slug,
        "name": template.name,
        "channel": template.channel,
        "version": template.version,
        "content": content.parts,
        "locales": content.locales,
        "variables": variables.names_of(content),
        "created_at": template.created_at,
        "updated_at": template.updated_at,
    }
    return dict(TemplateShape(row).data)


# As a node would resolve them, but for coupons: to look at a message takes none.
def _resolved(given: dict[str, Any], participant: dict[str, Any]) -> Resolved:
    scope = Scope(
        entry=given.get("entry", {}), event=given.get("event"), participant=participant or None, now=clock.now()
    )
    found = Resolved()
    for name, raw in given.get("vars", {}).items():
        if message_vars.is_link(raw):
            found.links[name] = raw
        else:
            found.values[name] = "COUPON" if message_vars.is_coupon(raw) else resolve(raw, scope)
    return found


def _chosen(template: Template, given: dict[str, Any]) -> Content:
    if "content" in given or "locales" in given:
        present = store.content_of(template)
        content = Content(
            template.channel, given.get("content", present.parts), given.get("locales", present.locales), template.slug
        )
        if found := wordings.flaws(content):
            raise Invalid([store.as_problem(each) for each in found])
        return content
    try:
        return store.content_of(template, given.get("version"))
    except TemplateVersion.DoesNotExist:
        raise Invalid([Problem("invalid", "This template has no such version.", "version")]) from None


def _participant(tenant_id: UUID, given: dict[str, Any]) -> dict[str, Any]:
    if "participant_id" not in given:
        return dict(given.get("participant", {}))
    found = ports.bound().profiles.fetch_many(str(tenant_id), [given["participant_id"]])
    if given["participant_id"] not in found:
        raise NotFound("There is no customer of this participant_id.", attr="participant_id")
    return {**found[given["participant_id"]], **given.get("participant", {})}
