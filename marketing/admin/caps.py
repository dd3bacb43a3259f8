"""What frequency caps have let through and no message has used up, in the admin."""

from __future__ import annotations

from django.contrib import admin

from flows.admin.pages import ReadOnlyPage
from flows.admin.walks import among
from marketing.models import CHANNELS, CapSlot


@admin.register(CapSlot)
class CapSlotAdmin(ReadOnlyPage[CapSlot]):
    """Kept places of messages to come; a search is for the id of a run, or for a participant."""

    list_display = ("reserved_at", "participant_id", "channel", "node_id", "tenant")
    list_display_links = ("reserved_at", "participant_id")
    list_filter = (("channel", among(*CHANNELS)), "tenant")
    list_select_related = ("tenant",)
    ids = ("id", "instance_id")
    searched = ("participant_id",)
    fields = ("participant_id", "channel", "reserved_at", "flow_id", "instance_id", "node_id", "tenant")
