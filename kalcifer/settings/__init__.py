"""Settings of the project: for production when KALCIFER_ENV says so, else for one machine with everything on it."""

from kalcifer.settings.environment import text

if text("KALCIFER_ENV", "local") == "production":
    from kalcifer.settings.production import *  # noqa: F403  # settings are a module of names
else:
    from kalcifer.settings.base import *  # noqa: F403  # settings are a module of names
