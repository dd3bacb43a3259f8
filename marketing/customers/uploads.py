"""From an upload to a job: whole records in chunks, kept in one short transaction."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from django.db import transaction

from engine import chores
from engine.models import Job
from marketing.customers import import_rows
from marketing.models import ImportChunk
from tenants.errors import Invalid, Problem
from tenants.models import Tenant

CHUNK: Final = 512 * 1024
CSV, NDJSON = "csv", "ndjson"


def accept(
    tenant: Tenant, body: IO[bytes], *, form: str, types: Mapping[str, str] | None = None, actor: str = ""
) -> Job:
    """
    Keep what was uploaded and have it imported; refuse at once what cannot be a list of customers.

    `types` says which columns of a table are a number or a boolean; the others are text.
    """
    header = _header(body) if form == CSV else []
    wrong = list(import_rows.untypable(types or {}, header))
    if wrong:
        raise Invalid([Problem("invalid", detail, f"types.{name}") for name, detail in wrong])
    params = {"form": form, "header": header, "types": dict(types or {})}
    with transaction.atomic():
        job = Job.objects.create(tenant=tenant, kind="import", action=form, params=params, actor=actor)
        matched = 0
        for number, (first_line, content) in enumerate(chunks(body, quoted=form == CSV, line=2 if header else 1)):
            ImportChunk.objects.create(job=job, number=number, first_line=first_line, content=content)
            matched += sum(1 for line in content.splitlines() if line.strip())
        job.matched = matched
        if not matched:
            job.status = Job.Status.COMPLETED
        job.save(update_fields=["matched", "status"])
        chores.ring_on_commit()
    return job


def chunks(body: IO[bytes], *, quoted: bool, line: int, size: int = CHUNK) -> Iterator[tuple[int, bytes]]:
    """Cut a stream after whole records; a line break between quotes is part of its record, where there are quotes."""
    kept = b""
    while piece := body.read(size):
        kept += piece
        end = _end_of_records(kept, quoted=quoted)
        if end:
            yield line, kept[:end]
            line += kept.count(b"\n", 0, end)
            kept = kept[end:]
        elif len(kept) > import_rows.MAX_RECORD:
            detail = f"The record that begins at line {line} is larger than {import_rows.MAX_RECORD} bytes."
            raise Invalid([Problem("too_large", detail)])
    if kept.strip():
        yield line, kept


def _end_of_records(data: bytes, *, quoted: bool) -> int:
    end = data.rfind(b"\n") + 1
    if not quoted:
        return end
    inside = data.count(b'"', 0, end) % 2
    while end and inside:
        before = data.rfind(b"\n", 0, end - 1) + 1
        inside = (inside - data.count(b'"', before, end)) % 2
        end = before
    return end


def _header(body: IO[bytes]) -> list[str]:
    first = body.readline(import_rows.MAX_RECORD)
    try:
        rows: list[list[str]] = list(csv.reader([first.decode("utf-8-sig")]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Invalid([Problem("invalid", "The first line has to name the columns, in UTF-8.")]) from error
    names = [name.strip() for name in rows[0]] if rows else []
    problems: list[Any] = []
    if "external_id" not in names:
        problems.append(Problem("required", "The first line has to name the columns, external_id among them."))
    if len(set(names)) != len(names) or "" in names:
        problems.append(Problem("invalid", "Each column needs a name of its own."))
    problems += [
        Problem("unknown_field", f"{name!r} is no column that can be imported.") for name in import_rows.refused(names)
    ]
    if problems:
        raise Invalid(problems)
    return names
