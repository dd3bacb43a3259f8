from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("marketing", "0006_sending"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="reserved_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RemoveConstraint(model_name="capslot", name="cap_slot_one_per_channel"),
        migrations.AddField(
            model_name="capslot",
            name="node_id",
            field=models.CharField(default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="capslot",
            constraint=models.UniqueConstraint(fields=("instance_id", "node_id"), name="cap_slot_one_per_node"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("state", "merged")),
                fields=["tenant", "external_id"],
                name="customer_merged_away",
            ),
        ),
        migrations.AddIndex(
            model_name="segmentdue",
            index=models.Index(
                condition=models.Q(("segment__isnull", True)),
                fields=["tenant", "participant_id"],
                name="segment_due_of",
            ),
        ),
    ]
