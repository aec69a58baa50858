"""The pages. One module each; a new page is a line here and a module beside."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from dashboard.pages import (
    audit,
    board,
    bulk,
    complete,
    deliveries,
    delivery_rows,
    domain,
    domain_acts,
    history,
    icon,
    keys,
    message,
    message_acts,
    message_body,
    news,
    operations,
    overview,
    people,
    routes,
    sandbox,
    saved_views,
    search_form,
    site,
    site_acts,
    words,
)


class Id(IntConverter):
    """A row's number; one with more digits than a column holds is no address of ours."""

    regex = "[0-9]{1,18}"


register_converter(Id, "id")

urlpatterns = [
    path("", overview.page, name="overview"),
    path("deliveries", deliveries.page, name="deliveries"),
    path("deliveries/new", news.count, name="deliveries-new"),
    path("deliveries/filter", search_form.apply, name="deliveries-filter"),
    path("deliveries/complete", complete.complete, name="deliveries-complete"),
    path("deliveries/views", saved_views.save, name="view-save"),
    path("deliveries/views/<id:pk>", saved_views.change, name="view-change"),
    path("deliveries/views/<id:pk>/remove", saved_views.remove, name="view-remove"),
    path("deliveries/rows", delivery_rows.rows, name="delivery-rows"),
    path("messages/<id:pk>", message.page, name="message"),
    path("messages/<id:pk>/html", message_body.html, name="message-html"),
    path("messages/<id:pk>/source", message_body.source, name="message-source"),
    path("messages/<id:pk>/eml", message_body.eml, name="message-eml"),
    path("messages/<id:pk>/attachments/<id:number>", message_body.attachment, name="message-attachment"),
    path("messages/<id:pk>/copy", message_acts.copy, name="copy-to-sandbox"),
    path("deliveries/<id:pk>/again", message_acts.send_again, name="send-again"),
    path("deliveries/<id:pk>/readdress", message_acts.readdress, name="readdress"),
    path("attempts/<id:pk>/transcript", message.transcript, name="transcript"),
    path("bulk/ask", bulk.ask, name="bulk-ask"),
    path("bulk/start", bulk.start, name="bulk-start"),
    path("operations", operations.page, name="operations"),
    path("operations/<id:pk>", operations.one, name="operation"),
    path("operations/<id:pk>/undo", operations.undo, name="operation-undo"),
    path("operations/<id:pk>/trials/<id:number>/go", operations.go_on, name="trial-go"),
    path("operations/<id:pk>/trials/<id:number>/stop", operations.stop, name="trial-stop"),
    path("operations/<id:pk>/cancel", operations.cancel, name="operation-cancel"),
    path("sandbox", sandbox.page, name="sandbox"),
    path("sandbox/<id:pk>", sandbox.mail, name="sandbox-mail"),
    path("sandbox/<id:pk>/html", sandbox.html, name="sandbox-html"),
    path("sandbox/<id:pk>/source", sandbox.source, name="sandbox-source"),
    path("sandbox/<id:pk>/eml", sandbox.eml, name="sandbox-eml"),
    path("sandbox/<id:pk>/attachments/<id:number>", sandbox.attachment, name="sandbox-attachment"),
    path("people", people.page, name="people"),
    path("people/<id:pk>", people.person, name="person"),
    *(path(f"people/<id:pk>/{verb}", people.act, {"verb": verb}, f"person-{verb}") for verb in people.VERBS),
    path("routes", routes.page, name="routes"),
    path("routes/<id:pk>/remove", routes.remove, name="route-remove"),
    path("keys", keys.page, name="keys"),
    path("keys/<id:pk>/revoke", keys.revoke_key, name="key-revoke"),
    path("logins/<id:pk>/revoke", keys.revoke_login, name="login-revoke"),
    path("audit", audit.page, name="audit"),
    path("audit/export", audit.export, name="audit-export"),
    path("board", board.page, name="board"),
    path("board/rows", board.rows, name="board-rows"),
    path("domains/<path:name>/retry", domain_acts.retry, name="domain-retry"),
    path("domains/<path:name>/suspend", domain_acts.suspend, name="domain-suspend"),
    path("domains/<path:name>/resume", domain_acts.resume, name="domain-resume"),
    path("domains/<path:name>/limits", domain_acts.set_limits, name="domain-limits"),
    path("domains/<path:name>/route", domain_acts.set_route, name="domain-route"),
    path("domains/<path:name>", domain.page, name="domain"),
    path("sites/<id:pk>", site.page, name="site"),
    path("sites/<id:pk>/retry", site_acts.retry, name="site-retry"),
    path("sites/<id:pk>/suspend", site_acts.suspend, name="site-suspend"),
    path("sites/<id:pk>/resume", site_acts.resume, name="site-resume"),
    path("sites/<id:pk>/lift", site_acts.lift, name="site-lift"),
    path("sites/<id:pk>/limits", site_acts.set_limits, name="site-limits"),
    path("history", history.data, name="history"),
    path("suspensions/<id:pk>/lift", site_acts.lift_suspension, name="suspension-lift"),
    path("words.js", words.catalogue, name="words"),
    path("favicon.ico", icon.favicon, name="favicon"),
]
