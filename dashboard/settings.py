"""Django's settings. Everything that an administrator may change is in `queueapp/conf`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import dj_database_url

from queueapp import conf as mailweir

CONF = mailweir.current()
BASE_DIR = Path(__file__).resolve().parent.parent
CONF.home.mkdir(mode=0o700, parents=True, exist_ok=True)


def _secret_key() -> str:
    """The setting, or a key that is made once and kept in MAILWEIR_HOME for this machine's owner only."""
    if CONF.secret_key:
        return CONF.secret_key
    path = CONF.secret_key_file or CONF.home / "secret_key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        key = secrets.token_urlsafe(48)
        file.write(key)
    return key


SECRET_KEY = _secret_key()
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *CONF.allowed_hosts]

INSTALLED_APPS = [
    "queueapp",
    "dashboard",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_rq",
    "django_htmx",
    "axes",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "dashboard.files.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "dashboard.auth.sessions.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "dashboard.auth.gate.Gate",
]

ROOT_URLCONF = "dashboard.urls"
ASGI_APPLICATION = "dashboard.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["django.template.loaders.filesystem.Loader"],
                )
            ],
        },
    }
]


# A machine that vanishes sends no goodbye. Its open transaction keeps rows locked, and all other machines
# waiting, until PostgreSQL notices: by the kernel's own settings after two hours. The other way round a
# server that vanishes must not keep us for a quarter of an hour. What DATABASE_URL says comes first.
_LIVENESS = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,
    # Shorter: of several lost transactions each waits for the one before, and then has its own time.
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=8000",
}


def _database() -> dict[str, Any]:
    """SQLite as one writer that waits its turn, or PostgreSQL with connections kept."""
    url = CONF.database_url or f"sqlite:///{CONF.home / 'mailweir.sqlite3'}"
    found: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=0))
    if found["ENGINE"].endswith("sqlite3"):
        found["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
            "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-65536; PRAGMA mmap_size=268435456;",
        }
    else:
        found["OPTIONS"] = {**_LIVENESS, **found.get("OPTIONS", {})}
    return found


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CONF.redis},
}

# The queue of the runners, and one for all that may take long and must never delay a mail.
RQ_QUEUES = {
    "runners": {"URL": CONF.redis, "DEFAULT_TIMEOUT": 600, "DEFAULT_RESULT_TTL": 0},
    "operations": {"URL": CONF.redis, "DEFAULT_TIMEOUT": 3600, "DEFAULT_RESULT_TTL": 600},
}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "dashboard.auth.login.locked_out"
PASSWORD_RESET_TIMEOUT = 3 * 86400  # how long the link counts by which a person chooses a password
OTP_TOTP_ISSUER = f"Mailweir {CONF.host}"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

SESSION_COOKIE_NAME = "mailweir_session"
SESSION_ENGINE = "dashboard.auth.sessions"
SESSION_COOKIE_AGE = int(CONF.session_age.total_seconds())
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "dashboard.auth.login.foreign_form"
CSRF_COOKIE_NAME = "mailweir_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = False  # the page's scripts send it back as a header
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONF.https == "yes"
SECURE_HSTS_SECONDS = 31536000 if CONF.https == "yes" else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CONF.https == "yes" else None
CSRF_TRUSTED_ORIGINS = (
    [f"https://{host.lstrip('.')}" for host in CONF.allowed_hosts] if CONF.https == "yes" else []
)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_ALLOW_ALL_ORIGINS = False

# A mail of MAILWEIR_MAX_SIZE grows by a third as base64 in JSON; the API checks the exact size itself.
DATA_UPLOAD_MAX_MEMORY_SIZE = CONF.max_size * 3 // 2 + 1_000_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = CONF.language
LANGUAGES = [(CONF.language, CONF.language)]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True

LOGGING_CONFIG = None
