"""Journeys as marketers wrote them, with everything that they name."""

from tests.marketing.deliveries.conftest import *  # noqa: F403 - the same language
