"""Passwords of routes are sealed, those that stand there as well."""

from typing import Any

from django.db import migrations, models

from queueapp.models.sealed import seal, unseal


def _seal(apps: Any, schema_editor: Any) -> None:
    for row in apps.get_model("queueapp", "Route").objects.exclude(password=""):
        row.sealed = seal(row.password.encode())
        row.save(update_fields=["sealed"])


def _unseal(apps: Any, schema_editor: Any) -> None:
    for row in apps.get_model("queueapp", "Route").objects.exclude(sealed=""):
        row.password = unseal(row.sealed).decode()
        row.save(update_fields=["password"])


class Migration(migrations.Migration):
    dependencies = [("queueapp", "0015_rest4")]

    operations = [
        migrations.AddField(
            model_name="route",
            name="sealed",
            field=models.TextField(blank=True, default="", help_text="The password, sealed; empty: none."),
            preserve_default=False,
        ),
        migrations.RunPython(_seal, _unseal, elidable=True),
        migrations.RemoveField(model_name="route", name="password"),
    ]
