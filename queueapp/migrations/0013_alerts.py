"""Alerts: rules, what holds, groups, silences, and what was said."""

import datetime

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("queueapp", "0012_classes"),
    ]

    operations = [
        migrations.CreateModel(
            name="AlertGroup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=200)),
                ("title", models.CharField(max_length=300)),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("warning", "Warning"), ("info", "Info")],
                        max_length=8,
                    ),
                ),
                ("since", models.DateTimeField()),
                (
                    "told_at",
                    models.DateTimeField(blank=True, help_text="Empty: nobody was told yet.", null=True),
                ),
                (
                    "told_again_at",
                    models.DateTimeField(blank=True, help_text="The last mail of the thread.", null=True),
                ),
                ("n_told", models.PositiveIntegerField(default=0, help_text="Mails of the thread so far.")),
                (
                    "n_most",
                    models.PositiveIntegerField(default=0, help_text="The most alerts that it had at once."),
                ),
                (
                    "thread",
                    models.CharField(blank=True, help_text="Message-ID of its first mail.", max_length=255),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", False)),
                        fields=["resolved_at"],
                        name="alert_group_resolved",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=("key",),
                        name="alert_group_open_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AlertRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        blank=True,
                        help_text="Of one that is shipped; empty: own.",
                        max_length=48,
                        null=True,
                        unique=True,
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("about", models.CharField(blank=True, help_text="Why, for people.", max_length=500)),
                (
                    "condition",
                    models.CharField(help_text="What is looked at: watch/alerts/conditions.", max_length=32),
                ),
                ("is_enabled", models.BooleanField(default=True)),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("warning", "Warning"), ("info", "Info")],
                        default="warning",
                        max_length=8,
                    ),
                ),
                ("threshold", models.FloatField(blank=True, help_text="In the condition's unit.", null=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("all", "All"),
                            ("site", "Site"),
                            ("domain", "Domain"),
                            ("sender", "Sender"),
                            ("campaign", "Campaign"),
                            ("part", "Part"),
                        ],
                        default="all",
                        max_length=8,
                    ),
                ),
                (
                    "only",
                    models.CharField(
                        blank=True,
                        help_text="One of that scope, or a pattern with *; empty: each.",
                        max_length=560,
                    ),
                ),
                (
                    "holds_for",
                    models.DurationField(
                        default=datetime.timedelta(seconds=120), help_text="So long before people are told."
                    ),
                ),
                (
                    "clear_for",
                    models.DurationField(
                        default=datetime.timedelta(seconds=180), help_text="So long before it is over."
                    ),
                ),
                (
                    "remind_every",
                    models.DurationField(blank=True, help_text="Empty: no reminder.", null=True),
                ),
                (
                    "recipients",
                    models.JSONField(
                        blank=True, default=list, help_text="Addresses; empty: MAILWEIR_ALERT_TO."
                    ),
                ),
                ("made_by", models.CharField(blank=True, max_length=150)),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", ["critical", "warning", "info"])),
                        name="alert_rule_severity_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("scope__in", ["all", "site", "domain", "sender", "campaign", "part"])
                        ),
                        name="alert_rule_scope_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("rule_name", models.CharField(max_length=100)),
                ("condition", models.CharField(max_length=32)),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("warning", "Warning"), ("info", "Info")],
                        max_length=8,
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("all", "All"),
                            ("site", "Site"),
                            ("domain", "Domain"),
                            ("sender", "Sender"),
                            ("campaign", "Campaign"),
                            ("part", "Part"),
                        ],
                        max_length=8,
                    ),
                ),
                ("key", models.CharField(max_length=600)),
                ("label", models.CharField(help_text="On what, for people.", max_length=600)),
                ("title", models.CharField(max_length=300)),
                ("cause", models.CharField(blank=True, help_text="What it is grouped by.", max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("firing", "Firing"),
                            ("acknowledged", "Acknowledged"),
                            ("resolved", "Resolved"),
                        ],
                        default="pending",
                        max_length=12,
                    ),
                ),
                ("value", models.FloatField(blank=True, null=True)),
                ("threshold", models.FloatField(blank=True, null=True)),
                ("unit", models.CharField(blank=True, max_length=12)),
                ("detail", models.JSONField(blank=True, default=dict)),
                ("since", models.DateTimeField(help_text="When it was first seen.")),
                ("seen_at", models.DateTimeField(help_text="When it was last seen.")),
                (
                    "clear_since",
                    models.DateTimeField(blank=True, help_text="Not seen since; empty: it holds.", null=True),
                ),
                ("fired_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_by", models.CharField(blank=True, max_length=150)),
                (
                    "note",
                    models.CharField(blank=True, help_text="What who acknowledged it said.", max_length=500),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("muted_by", models.CharField(blank=True, max_length=120)),
                (
                    "is_flapping",
                    models.BooleanField(default=False, help_text="Comes and goes: quiet until it is steady."),
                ),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="alerts",
                        to="queueapp.alertgroup",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="alerts",
                        to="queueapp.alertrule",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=["fired_at"],
                        name="alert_live",
                    ),
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", False)),
                        fields=["-resolved_at", "-id"],
                        name="alert_over",
                    ),
                    models.Index(fields=["key", "-id"], name="alert_key"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=("rule", "key"),
                        name="alert_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["pending", "firing", "acknowledged", "resolved"])),
                        name="alert_state_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("firing", "Firing"),
                            ("reminder", "Reminder"),
                            ("resolved", "Resolved"),
                            ("flapping", "Flapping"),
                            ("owner", "Owner"),
                            ("test", "Test"),
                        ],
                        max_length=8,
                    ),
                ),
                ("channel", models.CharField(help_text="email, webhook or slack", max_length=8)),
                (
                    "to",
                    models.CharField(help_text="An address, or a URL without its secrets.", max_length=500),
                ),
                ("subject", models.CharField(max_length=300)),
                ("body", models.TextField(help_text="What is sent: a whole mail, or JSON.")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("failed", "Failed")],
                        default="waiting",
                        max_length=7,
                    ),
                ),
                ("made_at", models.DateTimeField()),
                ("next_try_at", models.DateTimeField(blank=True, null=True)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("n_tries", models.PositiveIntegerField(default=0)),
                ("via", models.CharField(blank=True, help_text="The server that took it.", max_length=255)),
                ("error", models.CharField(blank=True, max_length=1000)),
                ("talk", models.TextField(blank=True)),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="queueapp.alertgroup",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["next_try_at"],
                        name="notice_waiting",
                    ),
                    models.Index(fields=["made_at"], name="notice_made"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Silence",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        blank=True,
                        choices=[("critical", "Critical"), ("warning", "Warning"), ("info", "Info")],
                        max_length=8,
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("all", "All"),
                            ("site", "Site"),
                            ("domain", "Domain"),
                            ("sender", "Sender"),
                            ("campaign", "Campaign"),
                            ("part", "Part"),
                        ],
                        max_length=8,
                    ),
                ),
                ("only", models.CharField(blank=True, max_length=560)),
                ("reason", models.CharField(max_length=200)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("made_by", models.CharField(max_length=150)),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
                ("lifted_by", models.CharField(blank=True, max_length=150)),
                (
                    "rule",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="silences",
                        to="queueapp.alertrule",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["until"], name="silence_until")],
            },
        ),
    ]
