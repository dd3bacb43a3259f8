"""Messages of runs that were retried ask the caps on their way once more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("marketing", "0015_statistics_without_documents"),
    ]

    operations = [
        migrations.AddField(
            model_name="capslot",
            name="asks_again",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="delivery",
            name="asks_again",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
