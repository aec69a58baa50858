from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("queueapp", "0013_alerts"),
    ]

    operations = [
        migrations.CreateModel(
            name="Diagnosis",
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
                            ("all", "All"),
                            ("site", "Site"),
                            ("domain", "Domain"),
                            ("sender", "Sender"),
                            ("campaign", "Campaign"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        blank=True,
                        help_text="Domain, sender or campaign; a site's number; empty for all.",
                        max_length=512,
                    ),
                ),
                ("name", models.CharField(blank=True, help_text="What people call it.", max_length=512)),
                (
                    "cause",
                    models.CharField(help_text="A name of queueapp/watch/diagnosis/causes.", max_length=24),
                ),
                (
                    "place",
                    models.PositiveSmallIntegerField(help_text="Its place in the scope; 0 comes first."),
                ),
                ("n", models.PositiveIntegerField(help_text="Deliveries that it holds now.")),
                (
                    "n_failed",
                    models.PositiveIntegerField(
                        default=0, help_text="Deliveries that it bounced in the last hour."
                    ),
                ),
                ("share", models.FloatField(help_text="Of what is open in the scope, 0 to 1.")),
                (
                    "is_estimate",
                    models.BooleanField(default=False, help_text="Told from a sample of the deliveries."),
                ),
                ("evidence", models.JSONField(default=dict)),
                ("since", models.DateTimeField()),
                ("seen_at", models.DateTimeField(help_text="The last look at which it held.")),
            ],
            options={
                "verbose_name_plural": "diagnoses",
                "indexes": [models.Index(fields=["kind", "place", "-n"], name="diagnosis_kind")],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "key", "cause"), name="diagnosis_once")
                ],
            },
        ),
    ]
