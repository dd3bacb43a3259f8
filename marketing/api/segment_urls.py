"""The addresses of segments."""

from marketing.api.segments import (
    SegmentEvaluateView,
    SegmentMembersView,
    SegmentMemberView,
    SegmentPreviewView,
    SegmentsView,
    SegmentView,
)
from tenants.api.routing import path

urlpatterns = [
    path("segments", SegmentsView.as_view(), "segments"),
    path("segments/preview", SegmentPreviewView.as_view(), "segment-preview"),
    path("segments/<str:segment_id>", SegmentView.as_view(), "segment"),
    path("segments/<str:segment_id>/evaluate", SegmentEvaluateView.as_view(), "segment-evaluate"),
    path("segments/<str:segment_id>/members", SegmentMembersView.as_view(), "segment-members"),
    path("segments/<str:segment_id>/members/<path:external_id>", SegmentMemberView.as_view(), "segment-member"),
]
