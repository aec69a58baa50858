"""Indexes for the searches and orders of the list, and saved views."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("queueapp", "0006_people"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("owner", models.CharField(help_text="Whose it is, such as `user:ann`.", max_length=150)),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(blank=True, max_length=2000)),
                ("order", models.CharField(blank=True, max_length=20)),
                ("group", models.CharField(blank=True, max_length=20)),
                ("is_shared", models.BooleanField(default=False, help_text="Everybody sees it.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RemoveIndex(
            model_name="delivery",
            name="delivery_held",
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state__in", ("deferred", "held", "bounced", "expired", "deleted"))),
                fields=["state", "-id"],
                name="delivery_unsent",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("last_class__in", ("", "delivered")), _negated=True),
                fields=["last_class", "-id"],
                name="delivery_class",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("n_attempts__gte", 2)),
                fields=["-n_attempts", "-id"],
                name="delivery_often",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("size__gte", 100000)), fields=["-size"], name="message_large"
            ),
        ),
        migrations.AddIndex(
            model_name="savedview",
            index=models.Index(
                condition=models.Q(("is_shared", True)), fields=["name"], name="saved_view_shared"
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(fields=("owner", "name"), name="saved_view_once"),
        ),
    ]
