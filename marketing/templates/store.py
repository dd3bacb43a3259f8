"""Templates as they are kept: a slug, and a version for each wording it ever had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from django.db import IntegrityError, transaction

from engine import clock
from engine.connections import execute
from marketing.models import Template, TemplateVersion
from marketing.templates import content as wordings
from marketing.templates import variables
from marketing.templates.content import Content, Parts
from marketing.templates.errors import Finding
from tenants.errors import Invalid, NameTaken, Problem
from tenants.models import Tenant

JSON = dict[str, Any]
Wording = tuple[Parts, dict[str, Parts]]

KEPT_MOST: Final = 200

IN_USE: Final = """
    SELECT t.slug, t.channel, t.version, v.id
      FROM templates t JOIN template_versions v ON v.template_id = t.id AND v.number = t.version
     WHERE t.tenant_id = %s AND t.slug = ANY(%s)
"""
WORDINGS: Final = "SELECT id, content, locales FROM template_versions WHERE id = ANY(%s::uuid[])"


def create(tenant: Tenant, slug: str, *, channel: str, parts: JSON, **facts: Any) -> Template:
    """Make a template with its first version, or raise Invalid, or NameTaken."""
    made = Content(channel, parts, facts.pop("locales", None) or {})
    check(made)
    actor, now = facts.pop("actor", ""), clock.now()
    try:
        with transaction.atomic():
            template = Template.objects.create(
                tenant=tenant, slug=slug, channel=channel, created_at=now, updated_at=now, **facts
            )
            _add_version(template, 1, made, actor)
    except IntegrityError as error:
        if "template_one_per_slug" not in str(error):
            raise
        raise NameTaken("There is a template of this id; PUT gives it another wording.", attr="template_id") from error
    return template


def reword(template: Template, *, parts: JSON, locales: JSON | None = None, actor: str = "") -> Template:
    """Add a version and use it; one that says the same as the present one adds nothing."""
    made = Content(template.channel, parts, locales or {})
    check(made)
    with transaction.atomic():
        locked = Template.objects.select_for_update().get(pk=template.pk)
        present = TemplateVersion.objects.get(template=locked, number=locked.version)
        if (present.content, present.locales) != (made.parts, made.locales):
            newest = TemplateVersion.objects.filter(template=locked).order_by("-number").first()
            locked.version = (newest.number if newest else 0) + 1
            _add_version(locked, locked.version, made, actor)
        locked.updated_at = clock.now()
        locked.save(update_fields=["version", "updated_at"])
    return locked


def use(template: Template, number: int) -> Template:
    """Go back (or on) to a version that there is."""
    if not TemplateVersion.objects.filter(template=template, number=number).exists():
        raise Invalid([Problem("invalid", f"This template has no version {number}.", "version")])
    template.version, template.updated_at = number, clock.now()
    template.save(update_fields=["version", "updated_at"])
    return template


def content_of(template: Template, number: int | None = None) -> Content:
    """A version of a template as it is filled in; the one in use, unless another is named."""
    version = TemplateVersion.objects.get(template=template, number=number or template.version)
    return _as_content(template, version)


def find_many(tenant_id: Any, slugs: Iterable[str]) -> Mapping[str, Content]:
    """The contents in use, by slug, in two queries at most for any number; what there is not is left out."""
    found = execute(IN_USE, [tenant_id, sorted(set(slugs))]).fetchall()
    wordings_of = _wordings([row[3] for row in found])
    return {
        slug: Content(channel, *wordings_of[version_id], slug, number)
        for slug, channel, number, version_id in found
        if version_id in wordings_of
    }


def existing(tenant_id: str, slugs: Sequence[str]) -> frozenset[str]:
    """Tell which of the templates there are."""
    return frozenset(Template.objects.filter(tenant_id=tenant_id, slug__in=slugs).values_list("slug", flat=True))


def check(made: Content) -> None:
    """Raise Invalid with everything that is wrong with a content."""
    found = wordings.flaws(made)
    found += variables.unknown_filters(made)
    # Which `vars` there are is for the node to say; any other root is a mistake already.
    found += variables.unknown_variables(made, None)
    if found:
        raise Invalid([as_problem(each) for each in found])


def as_problem(finding: Finding) -> Problem:
    """A finding as the API tells it."""
    return Problem(finding.code, finding.sentence(), finding.attr)


def _add_version(template: Template, number: int, made: Content, actor: str) -> None:
    TemplateVersion.objects.create(
        tenant_id=template.tenant_id,
        template=template,
        number=number,
        content=made.parts,
        locales=made.locales,
        created_at=clock.now(),
        created_by=actor[:255],
    )


def _as_content(template: Template, version: TemplateVersion) -> Content:
    return Content(template.channel, version.content, version.locales, template.slug, version.number)


# Versions never change, so that what this process has read once need not be read again.
def _wordings(version_ids: Sequence[str]) -> Mapping[str, Wording]:
    known = {key: found for key in version_ids if (found := _kept.get(key)) is not None}
    if missing := [key for key in version_ids if key not in known]:
        rows = execute(WORDINGS, [missing]).fetchall()
        read = {key: (orjson.loads(parts), orjson.loads(locales)) for key, parts, locales in rows}
        if len(_kept) + len(read) > KEPT_MOST:
            _kept.clear()
        _kept.update(read)
        known |= read
    return known


_kept: dict[str, Wording] = {}
