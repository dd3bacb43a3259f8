"""The ground of these admin pages: lists that never count a large table, rows that are only looked at, and buttons."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from flows.admin.walks import CappedPaginator, Walked
from tenants.admin_pages import OperatorPage
from tenants.errors import KalciferError

Row = TypeVar("Row", bound=Model)


class FastPage(OperatorPage[Row]):
    """
    A list that stays fast with a million rows.

    A search is for an id, or for the exact text of one column of `searched`; both are looked up in an index.
    """

    paginator = CappedPaginator
    ordering = ("-id",)
    walked: ClassVar[Walked | None] = None
    ids: ClassVar[tuple[str, ...]] = ("id",)
    searched: ClassVar[tuple[str, ...]] = ()
    # Anything makes the search box appear; what is looked up says get_search_results.
    search_fields = ("pk",)

    def get_paginator(self, request: HttpRequest, queryset: QuerySet[Row], *given: Any, **named: Any) -> Any:
        """Give pages by the index of what is chosen."""
        pages = super().get_paginator(request, queryset, *given, **named)
        if self.walked is not None and isinstance(pages, CappedPaginator):
            pages.walk = self.walked.along(self, request)
        return pages

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        """Look for an id, and for an exact text where no row has this id: participants may be called by UUIDs too."""
        wanted = search_term.strip().replace("\0", "")
        if not wanted:
            return queryset, False
        found = self._by_id(queryset, wanted)
        if self.searched and (found is None or not found.exists()):
            found = queryset.filter(Q(*((name, wanted) for name in self.searched), _connector=Q.OR))
        return queryset.none() if found is None else found, False

    def _by_id(self, queryset: QuerySet[Row], wanted: str) -> QuerySet[Row] | None:
        try:
            return queryset.filter(Q(*((name, UUID(wanted)) for name in self.ids), _connector=Q.OR))
        except ValueError:
            return None


class ReasonForm(ActionForm):
    """The choice of an action, and why it is done."""

    reason = forms.CharField(required=False, max_length=500, label="Reason:")


class ReadOnlyPage(FastPage[Row]):
    """Rows that only the engine writes, in tables too large to be sorted by any column."""

    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Nobody changes one by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Nobody deletes one by hand."""
        return False


@dataclass(frozen=True, slots=True)
class Button(Generic[Row]):
    """
    A verb on the page of a row.

    `press(row, actor)` does it and gives the message; a KalciferError is shown. `shown` says for which rows. With
    `asks` there is a field of this name beside the button, and `press(row, actor, text)` gets what was written there;
    with `sure`, which is for what cannot be taken back, the browser puts this question first.
    """

    name: str
    label: str
    press: Callable[..., str]
    shown: Callable[[Row], bool] = lambda _: True
    asks: str = ""
    sure: str = ""


class WithButtons(FastPage[Row]):
    """A page with buttons, each a POST of its own."""

    change_form_template = "admin/flows/with_buttons.html"

    def buttons(self) -> Sequence[Button[Row]]:
        """Give the buttons of this kind of row."""
        return ()

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the buttons."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_press"
        press = path("<uuid:row_id>/press/<slug:button>", self.admin_site.admin_view(self.press), name=name)
        return [press, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the row with the buttons that it has now."""
        row = self.get_object(request, object_id)
        shown = [
            (
                button.label,
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_press", args=(row.pk, button.name)),
                button.asks,
                button.sure,
            )
            for button in self.buttons()
            if row is not None and self.may_press(request) and button.shown(row)
        ]
        more = {"buttons": shown, **({"subtitle": self.called(row)} if row else {})}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def called(self, row: Row) -> str:
        """Name a row at the top of its page."""
        return str(row)

    def may_press(self, request: HttpRequest) -> bool:
        """Whether this user may change rows of the kind, though not by hand."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def has_press_permission(self, request: HttpRequest) -> bool:
        """Whether this user may take actions with `permissions=["press"]`."""
        return self.may_press(request)

    def press(self, request: HttpRequest, row_id: UUID, button: str) -> HttpResponse:
        """Do what the button says, and go back to the row."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self.get_object(request, str(row_id))
        wanted = next((each for each in self.buttons() if each.name == button), None)
        if row is None or wanted is None or not self.may_press(request):
            raise Http404
        self.act(request, row, wanted)
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(row_id,))
        return redirect(address)

    def act(self, request: HttpRequest, row: Row, button: Button[Row]) -> None:
        """Press a button for one row and tell how it went."""
        try:
            asked = (request.POST.get("text", "").replace("\0", ""),) if button.asks else ()
            told = button.press(row, actor(request), *asked)
        except KalciferError as refusal:
            messages.error(request, f"{row}: {refusal.detail}")
            return
        self.log_change(request, row, button.label)
        messages.success(request, told)


class Indented(json.JSONEncoder):
    """JSON for fields that people edit: a line for each part."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "indent": 2})


def wide(rows: int) -> forms.Textarea:
    """Give a field of many lines the width that JSON needs."""
    return forms.Textarea(attrs={"rows": rows, "cols": 100, "style": "font-family: monospace"})


def actor(request: HttpRequest) -> str:
    """Name who did it, for records."""
    return f"user:{request.user.get_username()}"


def moment(at: datetime | str | None) -> str:
    """Write a time to the second, as people read it; also one that was kept in JSON."""
    found = datetime.fromisoformat(at) if isinstance(at, str) and at else at
    return date_format(localtime(found), "j M Y, H:i:s") if isinstance(found, datetime) else ""


def pretty(value: Any) -> SafeString:
    """Show JSON as a person reads it."""
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))
