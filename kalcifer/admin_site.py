"""The admin's front page: what operators come for first, the engine's own books last."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse

from kalcifer import health
from tenants import admin_troubles

JSON = dict[str, Any]

ORDER = ("marketing", "flows", "engine", "tenants", "auth")
# Looked at when something is wrong with the engine itself.
INTERNALS = frozenset(
    (
        "BatchClaim", "CapSlot", "ClockAnchor", "CohortStatistic", "EventSubscription", "FlowEntry", "FlowStatistic",
        "FlowTrigger", "Intake", "JobTarget", "NodeStatistic", "ProjectionSkip", "ScheduledWork", "SegmentDue",
        "SegmentMember", "Snapshot", "Tally", "TemplateVersion", "Timer", "IdempotencyKey",
        "ClockedSchedule", "CrontabSchedule", "IntervalSchedule", "PeriodicTask", "SolarSchedule",
    )
)  # fmt: skip


class KalciferAdminSite(AdminSite):
    """Django's admin under this product's name."""

    site_header = "Kalcifer"
    site_title = "Kalcifer"
    index_title = "Journeys, flows and what runs them"
    # There is no other site than this one.
    site_url = None

    def index(self, request: HttpRequest, extra_context: JSON | None = None) -> TemplateResponse:
        """Begin with what is wrong: processes that do not run, and what waits for somebody."""
        silent = [check.detail for check in (look() for look in health.CHECKS.values()) if not check.ok]
        wrong = {"silent": silent, "troubles": list(admin_troubles.find(self, request))}
        return super().index(request, {**(extra_context or {}), **wrong})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Give the apps in the order of their use; the internals are a group of their own."""
        found: list[JSON] = [dict(app) for app in super().get_app_list(request, app_label)]
        if app_label is not None:
            return found
        found.sort(key=lambda app: ORDER.index(app["app_label"]) if app["app_label"] in ORDER else len(ORDER))
        internals = [each for app in found for each in app["models"] if each["object_name"] in INTERNALS]
        for app in found:
            app["models"] = [each for each in app["models"] if each["object_name"] not in INTERNALS]
        if internals:
            group = {"name": "Internals", "app_label": "internals", "app_url": "#internals", "has_module_perms": True}
            found.append(group | {"models": internals})
        return [app for app in found if app["models"]]
