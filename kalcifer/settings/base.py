"""Settings of every environment; without DATABASE_URL and REDIS_URL the servers of KALCIFER_DATA_DIR are used."""

from pathlib import Path
from typing import Any

from kalcifer.embedded.layout import Layout
from kalcifer.settings import celery
from kalcifer.settings.environment import database, flag, integer, number, text, words

BASE_DIR = Path(__file__).resolve().parents[2]

# --- Where things are -------------------------------------------------------------------------------------------------
KALCIFER_DATA_DIR = Path(text("KALCIFER_DATA_DIR", ".kalcifer")).absolute()
KALCIFER_ROLE = text("KALCIFER_ROLE", "command")
KALCIFER_REDIS_PREFIX = text("KALCIFER_REDIS_PREFIX", "kalcifer:")
LAYOUT = Layout.of(KALCIFER_DATA_DIR)

# --- Django -----------------------------------------------------------------------------------------------------------
SECRET_KEY = text("SECRET_KEY", "for-one-machine-only-set-SECRET_KEY-elsewhere-0123456789")
ENCRYPTION_KEY = text("ENCRYPTION_KEY", "for-one-machine-only-set-ENCRYPTION_KEY-elsewhere")
DEBUG = flag("DEBUG")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
ROOT_URLCONF = "kalcifer.urls"
WSGI_APPLICATION = "kalcifer.wsgi.application"
ASGI_APPLICATION = "kalcifer.asgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

INSTALLED_APPS = [
    "kalcifer.apps.KalciferConfig",
    "tenants",
    "flows",
    "engine",
    "marketing",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "django_celery_beat",
    "kalcifer.apps.KalciferAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *(["kalcifer.demo"] if flag("KALCIFER_DEMO") else []),  # set for the processes of `manage.py demo` alone
    *(["benchmarks"] if flag("KALCIFER_BENCH") else []),  # set for the processes of `manage.py bench` alone
]

MIDDLEWARE = [
    "kalcifer.request_id.middleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- PostgreSQL -------------------------------------------------------------------------------------------------------
STATEMENT_TIMEOUT_MS = integer("KALCIFER_STATEMENT_TIMEOUT_MS", 10_000 if KALCIFER_ROLE == "web" else 30_000)
SESSION_SETTINGS = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": 2_000,
    "idle_in_transaction_session_timeout": 30_000,
    "jit": "off",
}


def connection(url: str, *, engine: str = "django.db.backends.postgresql") -> dict[str, Any]:
    """A database as every process uses it: kept open, checked before use, with nothing that waits for ever."""
    found = database(url, engine=engine)
    session = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    options = {"application_name": f"kalcifer-{KALCIFER_ROLE}", "connect_timeout": 5, "options": session}
    return found | {
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": options | found["OPTIONS"],
    }


DATABASE_URL = text("DATABASE_URL")
DATABASES = {
    "default": connection(DATABASE_URL)
    if DATABASE_URL
    else connection(LAYOUT.database_url, engine="kalcifer.embedded.database")
}

# --- REST -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["tenants.api.media.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["tenants.api.media.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tenants.api.media.Negotiation",
    "DEFAULT_SCHEMA_CLASS": "tenants.api.schema.KalciferSchema",
    "EXCEPTION_HANDLER": "kalcifer.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
KALCIFER_RATE_LIMITS = text("KALCIFER_RATE_LIMITS")
# Where messages go for which a tenant has set up no channel.
KALCIFER_DEFAULT_PROVIDER = text("KALCIFER_DEFAULT_PROVIDER", "log")
KALCIFER_KEEP_DAYS = number("KALCIFER_KEEP_DAYS", 30)
KALCIFER_KEEP_EVENTS_DAYS = number("KALCIFER_KEEP_EVENTS_DAYS", 0)
SPECTACULAR_SETTINGS = {
    "TITLE": "Kalcifer",
    "DESCRIPTION": "Durable flows on Celery, Django and PostgreSQL. To try a call, press *Authorize* and paste an API "
    "key: `manage.py create_tenant NAME` makes a tenant with its first one.",
    "VERSION": "1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # They are for whoever writes views; the tests look at them, and each reader of the schema would log them again.
    "DISABLE_ERRORS_AND_WARNINGS": True,
}

# --- Redis and Celery -------------------------------------------------------------------------------------------------
REDIS_URL_IS_GIVEN = bool(text("REDIS_URL"))
REDIS_URL = text("REDIS_URL", LAYOUT.redis_url)
globals().update(celery.settings(REDIS_URL, prefix=KALCIFER_REDIS_PREFIX))

# --- Engine and processes ---------------------------------------------------------------------------------------------
KALCIFER_CLOCK_SPEED = number("KALCIFER_CLOCK_SPEED", 1) if text("KALCIFER_CLOCK_SPEED") else None
KALCIFER_ACTIVITY_THREADS = integer("KALCIFER_ACTIVITY_THREADS", 32)
KALCIFER_SANDBOX_PROCESSES = integer("KALCIFER_SANDBOX_PROCESSES", 2)
KALCIFER_SANDBOX_S = integer("KALCIFER_SANDBOX_S", 2)
KALCIFER_ALLOW_PRIVATE_ADDRESSES = words("KALCIFER_ALLOW_PRIVATE_ADDRESSES")  # networks, hosts or *
PORT = integer("PORT", 4500)
# Where the world reaches this installation: links in messages begin with it.
KALCIFER_PUBLIC_URL = text("KALCIFER_PUBLIC_URL", f"http://localhost:{PORT}")
KALCIFER_ALIVE_FILE = text("KALCIFER_ALIVE_FILE")
KALCIFER_METRICS_KEY = text("KALCIFER_METRICS_KEY")
KALCIFER_LOG_LEVEL = text("KALCIFER_LOG_LEVEL", "INFO")
LOGGING_CONFIG = None
