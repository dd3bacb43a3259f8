"""The verbs of journeys for asynchronous callers: each has committed when it returns."""

from engine.twins import twin_of
from marketing.journeys import catalog, lifecycle

acreate = twin_of(catalog.create)
achange = twin_of(catalog.change)
adelete = twin_of(catalog.delete)
alaunch = twin_of(lifecycle.launch)
apause = twin_of(lifecycle.pause)
aresume = twin_of(lifecycle.resume)
aarchive = twin_of(lifecycle.archive)
