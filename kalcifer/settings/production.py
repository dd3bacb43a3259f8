"""Settings of a deployment: secrets and servers come from the environment, and a missing one stops the start."""

from kalcifer.settings.base import *  # noqa: F403  # settings are a module of names
from kalcifer.settings.base import connection
from kalcifer.settings.environment import flag, required, text, words

SECRET_KEY = required("SECRET_KEY")
ENCRYPTION_KEY = required("ENCRYPTION_KEY")
DATABASES = {"default": connection(required("DATABASE_URL"))}
REDIS_URL = required("REDIS_URL")
ALLOWED_HOSTS = [required("ALLOWED_HOSTS").split(",")[0].strip(), *words("ALLOWED_HOSTS")[1:]]
# A message that only a log sees must be somebody's decision.
KALCIFER_DEFAULT_PROVIDER = text("KALCIFER_DEFAULT_PROVIDER", "none")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("BEHIND_TLS_PROXY") else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = flag("SECURE_COOKIES", default=True)
