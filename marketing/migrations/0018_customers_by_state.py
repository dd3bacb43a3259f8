"""Those who are erased, being erased or merged are few, and found by their state."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("marketing", "0017_lists_of_a_million")]

    operations = [
        migrations.AddIndex(
            "customer",
            models.Index(
                fields=["state", "id"], condition=models.Q(("state", "active"), _negated=True), name="customer_by_state"
            ),
        ),
    ]
