"""The tenant that `EventBus()` and `WorkflowEngine()` belong to when none is named."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create_default(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create it where it is missing."""
    apps.get_model("tenants", "Tenant").objects.using(schema_editor.connection.alias).get_or_create(name="default")


class Migration(migrations.Migration):
    """Makes the tenant `default`."""

    dependencies = [("tenants", "0002_rate_windows_unlogged")]

    operations = [migrations.RunPython(create_default, migrations.RunPython.noop)]
