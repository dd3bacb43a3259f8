"""What was uploaded to be imported, until it has been."""

from django.db import models

from engine.models import Job


class ImportChunk(models.Model):
    """
    Some whole records of an upload, in the order of `number`.

    They are in the database because web and worker may be on different hosts; each is deleted in the transaction that
    imports it.
    """

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, db_index=False, related_name="+")
    number = models.PositiveIntegerField()
    first_line = models.PositiveBigIntegerField()
    content = models.BinaryField()

    class Meta:
        db_table = "import_chunks"
        constraints = (models.UniqueConstraint(fields=("job", "number"), name="import_chunk_order"),)

    def __str__(self) -> str:
        return f"{self.job_id} {self.number}"
