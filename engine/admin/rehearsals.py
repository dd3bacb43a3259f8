"""The page on which a version is tried out: a form with a field for every wait and side effect, and how it went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from engine.execution import program
from engine.execution.program import CompiledNode
from engine.nodes.base import Category
from engine.rehearsal import asking, rehearsing, telling
from engine.rehearsal.messages import STATUSES
from flows.admin.versions import FlowVersionAdmin, add_page
from flows.errors import FlowError, InvalidGraph
from flows.graph.problems import NotAGraph
from flows.models import FlowVersion
from tenants import jsontext
from tenants.api import inputs
from tenants.errors import Invalid, KalciferError

JSON = dict[str, Any]

ADA: JSON = {
    "email": "ada@example.com", "phone": "+4915112345678", "name": "Ada", "locale": "en", "timezone": "Europe/Berlin",
    "properties": {}, "tags": [],
}  # fmt: skip
AS_IT_IS = ("", "as it decides")


class JSONField(forms.JSONField):
    """JSON, as strictly as over REST, or nothing at all; what was typed is shown again as it was."""

    def to_python(self, value: Any) -> Any:
        """Refuse what the API would: halves of surrogate pairs, NUL, numbers that nothing can hold."""
        if not isinstance(value, str) or not value.strip():
            return None
        try:
            return jsontext.loads(value.encode("utf-8", "surrogatepass"))
        except KalciferError as error:
            raise forms.ValidationError(error.detail) from error

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Give the text."""
        return InvalidJSONInput(data or "")

    def prepare_value(self, value: Any) -> Any:
        """Leave the field empty where there is nothing."""
        return "" if value is None else super().prepare_value(value)


class RehearsalForm(forms.Form):
    """Who goes through, and when; a graph adds its waits and side effects."""

    participant_id = forms.CharField(
        required=False, max_length=255, label="Customer", help_text="Somebody real, by their id; or make somebody up:"
    )
    participant = JSONField(required=False, label="Made-up profile", widget=forms.Textarea({"rows": 4, "cols": 60}))
    consents = JSONField(
        required=False, help_text='By topic: {"news": "granted"}', widget=forms.Textarea({"rows": 1, "cols": 60})
    )
    preferences = JSONField(
        required=False,
        help_text='By channel and topic: {"sms": {"*": false}}',
        widget=forms.Textarea({"rows": 1, "cols": 60}),
    )
    segments = forms.CharField(required=False, help_text="Slugs, separated by commas.")
    entry = JSONField(
        required=False,
        label="Entry",
        help_text="The data of the event that starts it.",
        widget=forms.Textarea({"rows": 3, "cols": 60}),
    )
    begins_at = forms.CharField(required=False, label="Begins", help_text="2030-01-31T12:00:00Z; now, without it.")

    def __init__(self, nodes: list[CompiledNode], entries: tuple[str, ...], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.nodes = nodes
        if len(entries) > 1:
            choices = [(name, name) for name in entries]
            self.fields["entry_node"] = forms.ChoiceField(choices=choices, label="Entry node")
        for node in nodes:
            self.fields |= dict(_fields_of(node))
        self.fields["events"] = JSONField(
            required=False, label="Other events", widget=forms.Textarea({"rows": 2, "cols": 60}),
            help_text='A list: [{"event_type": "bought", "after": "2d", "data": {}}]',
        )  # fmt: skip

    def asked(self) -> JSON:
        """Give what was filled in, as the REST call takes it."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "", {}, [])}
        body = {name: given[name] for name in _TAKEN if name in given}
        if "participant_id" in body:
            body.pop("participant", None)
        if "segments" in body:
            body["segments"] = [name.strip() for name in body["segments"].split(",") if name.strip()]
        events = body.pop("events", [])
        body["events"] = [*(events if isinstance(events, list) else [events]), *self._events(given)]
        body["outcomes"] = dict(self._outcomes(given))
        return body

    def _events(self, given: JSON) -> Iterator[JSON]:
        for node in self.nodes:
            if event_type := given.get(f"{node.id}:event"):
                more = {"data": given.get(f"{node.id}:data"), "after": given.get(f"{node.id}:after")}
                kept = {name: value for name, value in more.items() if value is not None}
                yield {"event_type": event_type, "node_id": node.id, **kept}

    def _outcomes(self, given: JSON) -> Iterator[tuple[str, JSON]]:
        for node in self.nodes:
            if node.node is not None and node.node.category is not Category.WAIT:
                named = {
                    name: given.get(f"{node.id}:{name}") for name in ("branch", "fails", "delivery", "result", "after")
                }
                if kept := {name: value for name, value in named.items() if value is not None}:
                    yield node.id, kept


_TAKEN = (
    "participant_id",
    "participant",
    "consents",
    "preferences",
    "segments",
    "entry",
    "entry_node",
    "begins_at",
    "events",
)


def show(page: FlowVersionAdmin, request: HttpRequest, version: FlowVersion) -> HttpResponse:
    """Show the form, and under it how the rehearsal went."""
    title = f"Test {version.flow}, version {version.number}"
    context: JSON = {**page.admin_site.each_context(request), "opts": page.opts, "original": version, "title": title}
    try:
        compiled = program.compile_graph(version.graph, version_id=str(version.pk), version=version.number)
    except (NotAGraph, KalciferError, ValueError) as error:
        return render(request, TEMPLATE, {**context, "trouble": [str(error)]})
    nodes = list(compiled.nodes.values())
    initial = {"participant": ADA, "entry": {}}
    form = RehearsalForm(nodes, compiled.entries, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        context |= _played(version, form)
    return render(request, TEMPLATE, {**context, "form": form})


TEMPLATE = "admin/engine/rehearsal.html"


def _played(version: FlowVersion, form: RehearsalForm) -> JSON:
    try:
        plan = asking.plan_of(inputs.parse(asking.RehearsalInput, form.asked()))
        told = rehearsing.rehearse(version, plan)
    except InvalidGraph as error:
        return {"trouble": [problem.detail for problem in error.problems]}
    except Invalid as error:
        return {"trouble": [f"{problem.attr or ''}: {problem.detail}" for problem in error.problems]}
    except (FlowError, KalciferError) as error:
        return {"trouble": [error.detail]}
    return {"told": told, "summary": telling.summary(told), **telling.parts(told)}


def _fields_of(node: CompiledNode) -> Iterator[tuple[str, forms.Field]]:
    if node.node is None:
        return
    if types := _event_types(node):
        choices = [("", "nothing comes"), *((each, each) for each in types)]
        yield f"{node.id}:event", forms.ChoiceField(choices=choices, required=False, label=f"{node.id}: event")
        yield f"{node.id}:after", _span(f"{node.id}: after")
        yield f"{node.id}:data", _json(f"{node.id}: data")
    elif node.type.startswith("send_"):
        choices = [("", "delivered at once"), *((each, each) for each in STATUSES)]
        yield f"{node.id}:delivery", forms.ChoiceField(choices=choices, required=False, label=f"{node.id}: becomes")
        yield f"{node.id}:after", _span(f"{node.id}: after")
    elif node.is_activity or node.node.category is Category.CONDITION:
        if branches := node.node.branches_of(node.config):
            choices = [AS_IT_IS, *((each, each) for each in branches)]
            yield f"{node.id}:branch", forms.ChoiceField(choices=choices, required=False, label=f"{node.id}: branch")
        if node.is_activity:
            yield f"{node.id}:result", _json(f"{node.id}: result")
            yield f"{node.id}:fails", forms.CharField(required=False, label=f"{node.id}: fails with", max_length=64)
            yield f"{node.id}:after", _span(f"{node.id}: after")


def _event_types(node: CompiledNode) -> tuple[str, ...]:
    found = getattr(node.config, "event_type", ()) if node.node and node.node.category is Category.WAIT else ()
    return (found,) if isinstance(found, str) else tuple(found)


def _span(label: str) -> forms.CharField:
    return forms.CharField(
        required=False, label=label, max_length=12, widget=forms.TextInput({"placeholder": "2h", "size": 6})
    )


def _json(label: str) -> forms.JSONField:
    return JSONField(required=False, label=label, widget=forms.Textarea({"rows": 1, "cols": 40, "placeholder": "{}"}))


add_page("test", "Test", show)
