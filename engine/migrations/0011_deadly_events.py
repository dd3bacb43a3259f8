"""How many workers died at the next event of a projection."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0010_what_has_ended"),
    ]

    operations = [
        migrations.AddField(
            model_name="projectioncheckpoint",
            name="deaths",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="projectioncheckpoint",
            name="suspects",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
    ]
