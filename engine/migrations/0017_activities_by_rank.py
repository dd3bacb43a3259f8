"""Side effects of more urgent flows go first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0016_statistics_without_documents"),
    ]

    operations = [
        migrations.AddField(
            model_name="activity",
            name="rank",
            field=models.SmallIntegerField(db_default=0, default=0),
        ),
        migrations.RemoveIndex(model_name="activity", name="activity_fetch_pending"),
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(
                condition=models.Q(("held", False), ("status", "pending")),
                fields=["tenant", "rank", "due_at", "id"],
                name="activity_fetch_pending",
            ),
        ),
    ]
