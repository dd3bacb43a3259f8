"""
Journeys: flows with a purpose. Each verb joins its caller's transaction; twins with an `a` are for async callers.

    from marketing import journeys

    journey = journeys.create(tenant, "Win back", graph=graph, audience={"segment": "lapsed"})
    journeys.launch(journey, include_existing=True)
"""

from marketing.journeys.catalog import change, create, delete
from marketing.journeys.lifecycle import Launch, archive, launch, pause, resume
from marketing.journeys.twins import aarchive, achange, acreate, adelete, alaunch, apause, aresume

__all__ = [
    "Launch",
    "aarchive",
    "achange",
    "acreate",
    "adelete",
    "alaunch",
    "apause",
    "archive",
    "aresume",
    "change",
    "create",
    "delete",
    "launch",
    "pause",
    "resume",
]
