from queueapp.models.access import SCOPES, ApiKey, IdempotencyKey, SmtpLogin
from queueapp.models.attempt import Attempt
from queueapp.models.audit import AuditEvent
from queueapp.models.delivery import FINAL, OPEN, WAITING, Delivery, State
from queueapp.models.dkim_key import DkimAlgorithm, DkimKey, KeyState
from queueapp.models.domain import RecipientDomain
from queueapp.models.message import Body, Message, TlsDemand
from queueapp.models.minute import EVERY_DOMAIN, Minute
from queueapp.models.mta_sts_policy import MtaStsPolicy
from queueapp.models.route import EgressSource, Route
from queueapp.models.runner import LEASE, Runner, host_of
from queueapp.models.site import Site
from queueapp.models.suppression import Suppression

__all__ = [
    "EVERY_DOMAIN",
    "FINAL",
    "LEASE",
    "OPEN",
    "SCOPES",
    "WAITING",
    "ApiKey",
    "Attempt",
    "AuditEvent",
    "Body",
    "Delivery",
    "DkimAlgorithm",
    "DkimKey",
    "EgressSource",
    "IdempotencyKey",
    "KeyState",
    "Message",
    "Minute",
    "MtaStsPolicy",
    "RecipientDomain",
    "Route",
    "Runner",
    "Site",
    "SmtpLogin",
    "State",
    "Suppression",
    "TlsDemand",
    "host_of",
]
