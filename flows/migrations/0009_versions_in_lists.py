"""Which version a run is of stands in the indexes of lists: nobody else's row is read for a list or a count of one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flows", "0008_listed_by_entry")]

    operations = [
        migrations.RemoveIndex("flowinstance", "instance_by_status"),
        migrations.RemoveIndex("flowinstance", "instance_by_flow"),
        migrations.AddIndex(
            "flowinstance",
            models.Index(
                fields=["tenant", "status", "entered_at", "id"], include=["version"], name="instance_by_status"
            ),
        ),
        migrations.AddIndex(
            "flowinstance",
            models.Index(
                fields=["flow", "status", "entered_at", "id"], include=["version", "tenant"], name="instance_by_flow"
            ),
        ),
    ]
