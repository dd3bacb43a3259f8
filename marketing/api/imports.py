"""Customers in bulk: a stream goes in, a job comes out."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from typing import IO, Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.response import Response

from engine.api.jobs import RequestedOutput, accepted
from marketing.customers import uploads
from marketing.customers.import_rows import TYPES
from tenants import jsontext
from tenants.api import bodies, inputs
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import KalciferError

FORMS: Final = {
    "text/csv": uploads.CSV,
    "application/x-ndjson": uploads.NDJSON,
    "application/ndjson": uploads.NDJSON,
    "application/jsonl": uploads.NDJSON,
}
IN_MEMORY: Final = 4 * bodies.MIB


@extend_schema_field(OpenApiTypes.STR)
class TypesField(serializers.CharField):
    """Columns and what they are, as JSON."""

    def __init__(self, **kwargs: Any) -> None:
        """Of at most so many characters as a URL may have."""
        text = 'Columns of a CSV that are no text, as JSON: {"age": "number", "vip": "boolean"}.'
        super().__init__(**{"max_length": 8_000, "help_text": text, **kwargs})

    def to_internal_value(self, data: Any) -> Any:
        """Read it, and refuse what says no type."""
        try:
            types = jsontext.loads(super().to_internal_value(data).encode())
        except KalciferError as error:
            raise serializers.ValidationError(error.detail) from error
        if not isinstance(types, dict) or not all(isinstance(each, str) for each in types.values()):
            raise serializers.ValidationError(f"This is an object of columns and their types: {', '.join(TYPES)}.")
        return types


class ImportView(TenantView):
    """Import customers."""

    streams = True
    max_body: ClassVar[int] = 4096 * bodies.MIB
    _kept: tuple[IO[bytes], bytes] | None = None

    class Query(serializers.Serializer[Any]):
        """What is said of the upload in the URL."""

        types = TypesField(required=False)

    @extend_schema(
        parameters=[Query],
        request={"text/csv": OpenApiTypes.STR, "application/x-ndjson": OpenApiTypes.STR},
        responses={202: RequestedOutput},
    )
    def post(self, request: TenantRequest) -> Response:
        """Make or change customers from CSV (the first line names the columns) or NDJSON; errors by line in the job."""
        form = FORMS.get((request.content_type or "").partition(";")[0].strip().lower())
        if form is None:
            raise UnsupportedMediaType(request.content_type or "", detail=f"Send one of {', '.join(FORMS)}.")
        types = inputs.parse_query(self.Query, request.query_params).get("types")
        body, _ = self._spooled()
        return accepted(uploads.accept(request.tenant, body, form=form, types=types, actor=request.principal.actor))

    def known_parameters(self, method: str) -> frozenset[str]:
        """The query parameters that this method takes."""
        return inputs.names_of(self.Query) if method == "POST" else super().known_parameters(method)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Forget the upload, whatever the answer is."""
        if self._kept is not None:
            self._kept[0].close()
        return super().finalize_response(request, response, *args, **kwargs)

    def raw_body(self) -> bytes:
        """What stands for the body where answers are compared: its digest."""
        return self._spooled()[1]

    # Beyond a few megabytes it lies in a file of this host for the time of the request.
    def _spooled(self) -> tuple[IO[bytes], bytes]:
        if self._kept is None:
            digest = sha256()
            kept: Any = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed by `finalize_response`
            self._kept = kept, b""
            for piece in bodies.stream(self.request._request, self.max_body):  # noqa: SLF001
                digest.update(piece)
                kept.write(piece)
            kept.seek(0)
            self._kept = kept, digest.digest()
        return self._kept
