"""Customers in bulk: a stream goes in, a job comes out."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from typing import IO, Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.response import Response

from engine.api.jobs import RequestedOutput, accepted
from marketing.customers import uploads
from tenants.api import bodies
from tenants.api.base import TenantRequest, TenantView

FORMS: Final = {
    "text/csv": uploads.CSV,
    "application/x-ndjson": uploads.NDJSON,
    "application/ndjson": uploads.NDJSON,
    "application/jsonl": uploads.NDJSON,
}
IN_MEMORY: Final = 4 * bodies.MIB


class ImportView(TenantView):
    """Import customers."""

    streams = True
    max_body: ClassVar[int] = 4096 * bodies.MIB
    _kept: tuple[IO[bytes], bytes] | None = None

    @extend_schema(
        request={"text/csv": OpenApiTypes.STR, "application/x-ndjson": OpenApiTypes.STR},
        responses={202: RequestedOutput},
    )
    def post(self, request: TenantRequest) -> Response:
        """Make or change customers from CSV (the first line names the columns) or NDJSON; errors by line in the job."""
        form = FORMS.get((request.content_type or "").partition(";")[0].strip().lower())
        if form is None:
            raise UnsupportedMediaType(request.content_type or "", detail=f"Send one of {', '.join(FORMS)}.")
        body, _ = self._spooled()
        return accepted(uploads.accept(request.tenant, body, form=form, actor=request.principal.actor))

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
