"""Coupons are found by who has them: by an export, and by an erasure."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("marketing", "0013_statistics_of_searches"),
        ("tenants", "0003_default_tenant"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="coupon",
            index=models.Index(fields=["tenant", "participant_id"], name="coupon_by_participant"),
        ),
    ]
