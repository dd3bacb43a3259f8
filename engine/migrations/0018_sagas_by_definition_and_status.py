"""A list of the sagas of a definition is read status by status."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("engine", "0017_activities_by_rank")]

    operations = [
        migrations.RemoveIndex("sagarun", "saga_by_definition"),
        migrations.AddIndex(
            "sagarun", models.Index(fields=["tenant", "definition", "status", "id"], name="saga_by_definition")
        ),
    ]
