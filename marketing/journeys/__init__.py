"""
Journeys: flows with a purpose. Each verb joins its caller's transaction.

    from marketing import journeys

    journey = journeys.create(tenant, "Win back", graph=graph, audience={"segment": "lapsed"})
    journeys.launch(journey, include_existing=True)
"""

from marketing.journeys.catalog import change, create, delete
from marketing.journeys.lifecycle import Launch, archive, launch, pause, resume

__all__ = ["Launch", "archive", "change", "create", "delete", "launch", "pause", "resume"]
