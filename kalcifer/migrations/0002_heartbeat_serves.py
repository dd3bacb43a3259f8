"""A heartbeat names the queues that its process serves."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kalcifer", "0001_heartbeats")]

    operations = [
        migrations.RenameField("heartbeat", "role", "serves"),
        migrations.AlterField(
            "heartbeat", "serves", models.CharField(max_length=255, help_text="the queues of a worker, or beat")
        ),
    ]
