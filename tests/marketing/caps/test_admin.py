"""Slots as operators see them."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from flows.models import Flow
from marketing.models import CapSlot
from tests.marketing.caps.conftest import capped
from tests.support.passage import Passage


def test_a_slot_is_found_by_its_participant_and_its_run(flow_with: Callable[..., Flow], client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("olga"))
    ada = Passage(flow_with(capped({"channel": "email"}, pause="1h")), "ada").start()
    slots = reverse("admin:marketing_capslot_changelist")

    for wanted in ("ada", str(ada.id)):
        assert "1 cap slot" in client.get(slots, {"q": wanted}).content.decode()
    assert "0 cap slots" in client.get(slots, {"q": "bob"}).content.decode()
    page = client.get(reverse("admin:marketing_capslot_change", args=(CapSlot.objects.get().pk,))).content.decode()
    assert str(ada.id) in page
