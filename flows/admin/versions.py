"""Versions in the admin: drafts are edited as JSON, published ones are looked at."""

from collections.abc import Callable
from typing import Any, ClassVar, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flows import publishing, versions
from flows.admin import graphs
from flows.admin.flows import add_section
from flows.admin.pages import Button, Indented, WithButtons, pretty, wide
from flows.graph.model import read
from flows.models import Flow, FlowVersion
from flows.models.version import VersionStatus
from tenants.admin_pages import Form


def _publish(version: FlowVersion, by: str) -> str:
    publishing.publish(version, by=by)
    return f"Version {version.number} is published."


Showing = Callable[["FlowVersionAdmin", HttpRequest, FlowVersion], HttpResponse]

_pages: list[tuple[str, str, Showing]] = []


_vocabulary: list[Callable[[], SafeString]] = []


def add_vocabulary(show: Callable[[], SafeString]) -> None:
    """Put what `show` gives, what graphs can be made of, below the field of a graph."""
    _vocabulary.append(show)


def add_page(name: str, label: str, show: Showing) -> None:
    """Give each version a page of its own at this name, with a link to it; only who may change versions sees it."""
    _pages.append((name, label, show))


# What a new flow's first graph begins with; it can be published as it stands.
BEGINNING = {
    "nodes": [
        {"id": "start", "type": "event_entry", "config": {"event_type": "signed_up"}},
        {"id": "done", "type": "exit", "config": {"reason": "through"}},
    ],
    "edges": [{"source": "start", "target": "done"}],
}

PUBLISH: Button[FlowVersion] = Button(
    "publish", "Publish", _publish, lambda version: version.status != VersionStatus.PUBLISHED
)


class FlowVersionForm(Form[FlowVersion]):
    """A draft's graph as JSON."""

    class Meta:
        model = FlowVersion
        fields = ("flow", "graph", "changelog")
        widgets: ClassVar[dict[str, Any]] = {"graph": wide(30), "changelog": wide(3)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "graph" in self.fields:
            cast("forms.JSONField", self.fields["graph"]).encoder = Indented

    def clean_graph(self) -> Any:
        """Refuse what is no graph at all; an incomplete one is kept."""
        graph, problems = read(raw := self.cleaned_data["graph"])
        if graph is None:
            raise forms.ValidationError([problem.detail for problem in problems])
        return raw


@admin.register(FlowVersion)
class FlowVersionAdmin(WithButtons[FlowVersion]):
    """Versions: their graphs, what is wrong with them, and publishing them; a search is for an id, also a flow's."""

    form = FlowVersionForm
    list_display = ("flow", "number", "status", "published_at", "published_by", "created_at")
    list_display_links = ("number",)
    list_filter = ("status", "tenant")
    list_select_related = ("flow",)
    ids = ("id", "flow_id")
    autocomplete_fields = ("flow",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FlowVersion]:
        """Leave the graphs out of the list."""
        rows = super().get_queryset(request).select_related("flow", "tenant")
        return rows if request.resolver_match and "object_id" in request.resolver_match.kwargs else rows.defer("graph")

    def get_fields(self, request: HttpRequest, obj: FlowVersion | None = None) -> Any:
        """Show a draft's JSON to edit, and of others the graph to read."""
        if obj is None:
            return "flow", "graph", "vocabulary", "changelog"
        about = ("flow", "number", "status", "published_at", "published_by", "strategy", "id")
        text = ("graph", "vocabulary") if self.has_change_permission(request, obj) else ("graph_text",)
        return (*about, "changelog", "problems", "nodes", *text)

    def get_readonly_fields(self, request: HttpRequest, obj: FlowVersion | None = None) -> Any:
        """Only graph and changelog are ever edited."""
        written = {"graph", "changelog"} if obj else {"flow", "graph", "changelog"}
        return tuple(name for name in self.get_fields(request, obj) if name not in written)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin where the flow's newest version ends."""
        found = super().get_changeform_initial_data(request)
        return {"graph": _newest_graph(str(found.get("flow", ""))), **found}

    def has_change_permission(self, request: HttpRequest, obj: FlowVersion | None = None) -> bool:
        """Leave what was published as it is."""
        return super().has_change_permission(request, obj) and (obj is None or obj.status == VersionStatus.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: FlowVersion | None = None) -> bool:
        """Versions go with their flow."""
        return False

    def save_model(self, request: HttpRequest, obj: FlowVersion, form: Any, change: Any) -> None:
        """Write drafts by the verbs, which give numbers and refuse what was published meanwhile."""
        given = {name: form.cleaned_data[name] for name in ("graph", "changelog")}
        if change:
            versions.update_draft(obj, **given)
        else:
            made = versions.create_draft(form.cleaned_data["flow"], **given)
            obj.__dict__.update(made.__dict__)

    def buttons(self) -> tuple[Button[FlowVersion], ...]:
        """Give the verbs of a version."""
        return (PUBLISH,)

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that were added."""
        added = [
            path(
                f"<uuid:row_id>/{name}/", self.admin_site.admin_view(self._page(show)), name=f"flows_flowversion_{name}"
            )
            for name, _, show in _pages
        ]
        return [*added, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Link to the pages that were added."""
        there = self.may_press(request) and self.get_object(request, object_id) is not None
        links = [(label, f"../{name}/") for name, label, _ in _pages if there]
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "links": links})

    def _page(self, show: Showing) -> Callable[..., HttpResponse]:
        def page(request: HttpRequest, row_id: UUID) -> HttpResponse:
            version = self.get_object(request, str(row_id))
            if version is None or not self.may_press(request):
                raise Http404
            return show(self, request, version)

        return page

    @admin.display(description="problems")
    def problems(self, version: FlowVersion) -> SafeString:
        """Check the graph as publishing would."""
        return graphs.problems(publishing.validate(version.graph, version.tenant))

    @admin.display(description="nodes")
    def nodes(self, version: FlowVersion) -> SafeString:
        """List the nodes and where they lead."""
        return graphs.nodes(version.graph)

    @admin.display(description="to write it with")
    def vocabulary(self, version: FlowVersion) -> SafeString:
        """List what graphs can be made of."""
        return format_html_join("", "{}", ((show(),) for show in _vocabulary))

    @admin.display(description="graph")
    def graph_text(self, version: FlowVersion) -> SafeString:
        """Show the graph as JSON."""
        return pretty(version.graph)


def _newest_graph(flow_id: str) -> Any:
    try:
        versions_of_flow = FlowVersion.objects.filter(flow_id=UUID(flow_id))
    except ValueError:
        return BEGINNING
    newest = versions_of_flow.order_by("-number").values_list("graph", flat=True).first()
    return newest or BEGINNING


def show_graph(flow: Flow) -> SafeString:
    """Draw the graph that runs, below a link to its version."""
    version = flow.active_version
    if version is None:
        return format_html("<p>{}</p>", "Nothing is published yet.")
    address = reverse("admin:flows_flowversion_change", args=(version.pk,))
    return format_html('<p><a href="{}">Version {}</a></p>{}', address, version.number, graphs.picture(version.graph))


add_section("Graph", show_graph)
