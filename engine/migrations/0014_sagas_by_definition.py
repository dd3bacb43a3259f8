"""An index for the list of a definition's sagas."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0013_places_of_transactions"),
        ("tenants", "0003_default_tenant"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="sagarun",
            index=models.Index(fields=["tenant", "definition", "id"], name="saga_by_definition"),
        ),
    ]
