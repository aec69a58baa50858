from queueapp.models.access import SCOPES, ApiKey, IdempotencyKey, SmtpLogin
from queueapp.models.alert import (
    Alert,
    AlertGroup,
    AlertRule,
    AlertScope,
    AlertState,
    Notice,
    NoticeKind,
    NoticeState,
    Severity,
    Silence,
)
from queueapp.models.attempt import Attempt
from queueapp.models.audit import AuditCut, AuditEvent
from queueapp.models.backoff_rule import (
    HOLDS,
    SCOPES_OF,
    BackoffRule,
    Effect,
    RuleAction,
    RuleCondition,
    RuleCount,
    RuleScope,
    SenderMinute,
    SenderUsual,
)
from queueapp.models.delivery import FINAL, OPEN, WAITING, Delivery, State
from queueapp.models.diagnosis import Diagnosis
from queueapp.models.dkim_key import DkimAlgorithm, DkimKey, KeyState
from queueapp.models.domain import RecipientDomain
from queueapp.models.egress import EgressPool, EgressRule, EgressSource, PoolMember, SourceDay, Suspension
from queueapp.models.figures import LAST, LETTERS, DomainFigures, SiteFigures
from queueapp.models.hold import HoldRule
from queueapp.models.listing import BlocklistTest, Listing, ListingChange, ListingKind, ListingState
from queueapp.models.message import Body, Message, TlsDemand
from queueapp.models.minute import EVERY_DOMAIN, Bookmark, Day, Hour, Minute, OutcomeSlot, of_site
from queueapp.models.mta_sts_policy import MtaStsPolicy
from queueapp.models.operation import Operation, OperationChunk, OperationSite, OperationState
from queueapp.models.reply_rule import ReplyRule, ReplyTrial, RuleHour
from queueapp.models.revision import Revision
from queueapp.models.route import Route
from queueapp.models.runner import LEASE, Runner, host_of
from queueapp.models.saved_view import SavedView
from queueapp.models.site import Site
from queueapp.models.suppression import Suppression
from queueapp.models.transcript import AttemptTranscript

__all__ = [
    "Silence",
    "Severity",
    "NoticeState",
    "NoticeKind",
    "Notice",
    "AlertState",
    "AlertScope",
    "AlertRule",
    "AlertGroup",
    "Alert",
    "EVERY_DOMAIN",
    "FINAL",
    "HOLDS",
    "LAST",
    "LEASE",
    "LETTERS",
    "OPEN",
    "SCOPES",
    "SCOPES_OF",
    "WAITING",
    "ApiKey",
    "Attempt",
    "AttemptTranscript",
    "AuditCut",
    "AuditEvent",
    "BackoffRule",
    "BlocklistTest",
    "Body",
    "Bookmark",
    "Day",
    "Delivery",
    "Diagnosis",
    "DkimAlgorithm",
    "DkimKey",
    "DomainFigures",
    "Effect",
    "EgressPool",
    "EgressRule",
    "EgressSource",
    "HoldRule",
    "Hour",
    "IdempotencyKey",
    "KeyState",
    "Listing",
    "ListingChange",
    "ListingKind",
    "ListingState",
    "Message",
    "Minute",
    "MtaStsPolicy",
    "OutcomeSlot",
    "Operation",
    "OperationChunk",
    "OperationSite",
    "OperationState",
    "PoolMember",
    "RecipientDomain",
    "ReplyRule",
    "ReplyTrial",
    "Revision",
    "Route",
    "RuleHour",
    "RuleAction",
    "RuleCondition",
    "RuleCount",
    "RuleScope",
    "Runner",
    "SavedView",
    "SenderMinute",
    "SenderUsual",
    "Site",
    "SiteFigures",
    "SmtpLogin",
    "SourceDay",
    "State",
    "Suppression",
    "Suspension",
    "TlsDemand",
    "host_of",
    "of_site",
]
