"""Rate windows live for a second: they are not worth a write-ahead log."""

from django.db import migrations


class Migration(migrations.Migration):
    """Makes the table unlogged."""

    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE rate_windows SET UNLOGGED",
            "ALTER TABLE rate_windows SET LOGGED",
        )
    ]
