"""`/words.js`: what scripts say, in the language of the pages (static/js/words.js looks it up there).

Made from locale/LANGUAGE/LC_MESSAGES/djangojs.mo; not loaded where pages are English, which is what the
scripts hold themselves.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.i18n import JavaScriptCatalog

catalogue = login_required(
    require_safe(cache_control(private=True, max_age=3600)(JavaScriptCatalog.as_view()))
)
