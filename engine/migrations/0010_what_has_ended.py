"""Indexes of what has ended and will be forgotten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0009_redaction"),
        ("tenants", "0003_default_tenant"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(
                condition=models.Q(
                    ("kind__in", ["delivery", "task"]), ("status__in", ["completed", "failed", "cancelled"])
                ),
                fields=["completed_at"],
                name="activity_ended_call",
            ),
        ),
        migrations.AddIndex(
            model_name="scheduledwork",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)), fields=["ended_at"], name="scheduled_ended"
            ),
        ),
    ]
