"""The ground of the engine's pages: reading lists of very large tables, and verbs for many rows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engine import jobs
from engine.operations import Verdict
from flows.admin.pages import ReadOnlyPage, actor
from tenants.models import Tenant

Row = TypeVar("Row", bound=Model)
Many = Callable[..., list[Verdict]]

# So many refusals are told one by one.
TOLD = 10


class EnginePage(ReadOnlyPage[Row]):
    """Rows that only the engine writes, in tables too large to be sorted by any column."""

    sortable_by = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        """Look a text up under every tenant: the indexes begin with the tenant."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        if search_term.strip() and self.searched:
            found = found.filter(tenant_id__in=Tenant.objects.values("pk"))
        return found, duplicates

    @admin.display(description="instance")
    def run(self, row: Row) -> SafeString | str:
        """Link to the instance without reading it."""
        return run_link(getattr(row, "instance_id", None))


def run_link(instance_id: Any) -> SafeString | str:
    """Link to the page of an instance."""
    if not instance_id:
        return "none"
    address = reverse("admin:flows_flowinstance_change", args=(instance_id,))
    return format_html('<a href="{}">{}</a>', address, instance_id)


def act_on_many(
    page: Any, request: HttpRequest, chosen: QuerySet[Any], *, of: tuple[str, str], verb: Many, params: dict[str, Any]
) -> None:
    """
    Do a verb to what was chosen: the rows of a page at once, a choice of all that match as a job per tenant.

    `of` are the job's kind and action. Who did it is in the events and in Django's log.
    """
    if request.POST.get("select_across") == "1":
        _ask_for_jobs(page, request, chosen, of, params)
        return
    ids = [str(key) for key in chosen.order_by().values_list("pk", flat=True)]
    verdicts = verb(ids, actor=actor(request), **params)
    refused = {each.id: each.refusal for each in verdicts if each.refusal is not None}
    done = [each.id for each in verdicts if each.refusal is None]
    if done:
        rows = page.model.objects.filter(pk__in=done)
        LogEntry.objects.log_actions(str(request.user.pk), rows, CHANGE, of[1].capitalize())
        messages.success(request, f"Done: {of[1]}, {len(done)} of {len(ids)}.")
    for key, refusal in list(refused.items())[:TOLD]:
        messages.error(request, f"{key}: {refusal.detail}")
    if len(refused) > TOLD:
        messages.error(request, f"… and {len(refused) - TOLD} more were refused.")


def _ask_for_jobs(
    page: Any, request: HttpRequest, chosen: QuerySet[Any], of: tuple[str, str], params: dict[str, Any]
) -> None:
    for tenant in Tenant.objects.filter(pk__in=chosen.order_by().values("tenant_id")):
        theirs = chosen.filter(tenant=tenant)
        job = jobs.request(tenant, *of, chosen=theirs, params=params, actor=actor(request))
        page.log_addition(request, job, f"{of[0]} {of[1]}")
        address = reverse("admin:engine_job_change", args=(job.pk,))
        said = format_html('A job does it in the background: <a href="{}">{} {}</a>.', address, job.matched, of[0])
        messages.info(request, said)


def reason_of(request: HttpRequest) -> str:
    """Give what was written beside the action."""
    return request.POST.get("reason", "").replace("\0", "").strip()[:500]
