"""The addresses of flows, versions and instances."""

from flows.api.flows import (
    ActivateView,
    ArchiveView,
    DuplicateView,
    FlowsView,
    FlowView,
    PauseView,
    ResumeView,
)
from flows.api.instances import FlowInstancesView, InstancesView, InstanceView
from flows.api.versions import DiffView, PublishView, ValidateView, VersionsView, VersionView
from tenants.api.routing import path

FLOW = "flows/<str:flow_id>"
VERSION = f"{FLOW}/versions/<int:number>"

urlpatterns = [
    path("flows", FlowsView.as_view(), "flows"),
    path(FLOW, FlowView.as_view(), "flow"),
    path(f"{FLOW}/activate", ActivateView.as_view(), "flow-activate"),
    path(f"{FLOW}/pause", PauseView.as_view(), "flow-pause"),
    path(f"{FLOW}/resume", ResumeView.as_view(), "flow-resume"),
    path(f"{FLOW}/archive", ArchiveView.as_view(), "flow-archive"),
    path(f"{FLOW}/duplicate", DuplicateView.as_view(), "flow-duplicate"),
    path(f"{FLOW}/versions", VersionsView.as_view(), "versions"),
    path(VERSION, VersionView.as_view(), "version"),
    path(f"{VERSION}/validate", ValidateView.as_view(), "version-validate"),
    path(f"{VERSION}/publish", PublishView.as_view(), "version-publish"),
    path(f"{VERSION}/diff/<int:other>", DiffView.as_view(), "version-diff"),
    path(f"{FLOW}/instances", FlowInstancesView.as_view(), "flow-instances"),
    path("instances", InstancesView.as_view(), "instances"),
    path("instances/<str:instance_id>", InstanceView.as_view(), "instance"),
]
