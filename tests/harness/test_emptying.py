"""After the tables were emptied, a test finds the kinds of rows and permissions that `migrate` makes."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("time", ["first", "after one was emptied", "and again"])
def test_nothing_is_missing(time: str) -> None:
    for model in apps.get_models():
        kind = ContentType.objects.get(app_label=model._meta.app_label, model=model._meta.model_name)
        has = set(Permission.objects.filter(content_type=kind).values_list("codename", flat=True))
        named = {codename for codename, _ in model._meta.permissions}
        usual = {f"{verb}_{model._meta.model_name}" for verb in model._meta.default_permissions}
        assert has >= named | usual, model
    new = ContentType.objects.create(app_label="later", model="thing")  # ids go on where they were
    assert new.pk > 0
