"""Imports: a stream in, customers out, errors by line."""

from __future__ import annotations

import io
import json
from urllib.parse import quote

import pytest
from django.db import IntegrityError

from engine import jobs
from engine.models import Job
from marketing.customers import imports, uploads
from marketing.models import Customer, ImportChunk, Segment, SegmentDue

URL = "/api/v1/customers/import"
CSV = """external_id,email,timezone,tags,plan,note
ada,ada@example.com,Europe/Berlin,vip;beta,pro,"two
lines, and a comma"
bob,bob@,,,,
cy,,GMT+2,,free,
,x@example.com,,,,
"""


def upload(api, body, kind="text/csv", **headers):
    data = body.encode() if isinstance(body, str) else body
    return api.generic("POST", URL, data, content_type=kind, **headers)


def work_off():
    while imports.import_some():
        pass


def job_of(answer):
    return Job.objects.get(pk=answer.json()["job_id"])


def test_a_table_becomes_customers_and_errors_name_their_lines(api):
    answer = upload(api, CSV)
    work_off()

    assert answer.status_code == 202
    ada, cy = Customer.objects.order_by("external_id")
    assert (ada.email, ada.timezone, ada.tags) == ("ada@example.com", "Europe/Berlin", ["vip", "beta"])
    assert ada.properties == {"plan": "pro", "note": "two\nlines, and a comma"}
    assert (cy.timezone, cy.properties) == ("", {"plan": "free", "timezone": "GMT+2"})
    job = api.get(f"/api/v1/jobs/{answer.json()['job_id']}").json()
    assert (job["status"], job["matched"], job["done"], job["succeeded"], job["refused"]) == ("completed", 4, 4, 2, 2)
    assert [(each["line"], each["code"]) for each in job["errors"]] == [(4, "invalid"), (6, "required")]


def test_lines_of_json_become_customers(api):
    lines = [
        '{"external_id": "ada", "name": "Ada", "properties": {"a": {"b": 1}}, "tags": ["x"]}',
        "",
        '{"external_id": "bob", "nmae": "Bob"}',
        "{",
        '["no object"]',
        '{"external_id": "cy", "name": "\\u0000"}',
        '{"external_id": "di", "phone": "+49 151 1234567"}',
    ]
    answer = upload(api, "\n".join(lines), "application/x-ndjson")
    work_off()

    assert dict(Customer.objects.values_list("external_id", "phone")) == {"ada": "", "di": "+491511234567"}
    assert Customer.objects.get(external_id="ada").properties == {"a": {"b": 1}}
    assert [(each["line"], each["code"]) for each in job_of(answer).errors] == [
        (3, "unknown_field"),
        (4, "invalid_json"),
        (5, "invalid"),
        (6, "invalid_string"),
    ]


def test_whoever_is_there_is_changed_and_keeps_what_is_not_named(api, customer):
    customer(name="Ada", email="old@example.com", properties={"a": 1, "b": 2}, tags=["kept", "x"])

    upload(
        api,
        '{"external_id": "ada", "email": "new@example.com", "properties": {"b": null, "c": 3}, "tags": ["x", "y"]}',
        "application/x-ndjson",
    )
    work_off()

    ada = Customer.objects.get()
    assert (ada.name, ada.email, ada.properties, ada.tags) == (
        "Ada",
        "new@example.com",
        {"a": 1, "c": 3},
        ["kept", "x", "y"],
    )


def test_of_two_records_of_one_customer_the_later_one_counts(api):
    upload(api, "external_id,name,plan\nada,first,pro\nbob,b,\nada,second,\n")
    work_off()

    ada = Customer.objects.get(external_id="ada")
    assert (ada.name, ada.properties) == ("second", {"plan": "pro"})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("email\na@example.com\n", "required"),
        ("external_id,a,a\n", "invalid"),
        ("external_id,state\n", "unknown_field"),
    ],
)
def test_a_header_that_is_none_is_refused_at_once(api, body, code):
    refused = upload(api, body)

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, code)
    assert not Job.objects.exists()


def test_what_is_neither_csv_nor_ndjson_is_refused(api):
    assert upload(api, "{}", "application/json").status_code == 415


def test_an_upload_with_the_same_idempotency_key_is_one_upload(api):
    first = upload(api, CSV, HTTP_IDEMPOTENCY_KEY="k")
    second = upload(api, CSV, HTTP_IDEMPOTENCY_KEY="k")
    other = upload(api, CSV + "di,,,,,\n", HTTP_IDEMPOTENCY_KEY="k")

    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    assert other.status_code == 422
    assert Job.objects.count() == 1


def test_a_worker_that_dies_leaves_the_chunk_to_the_next_one(api, monkeypatch):
    upload(api, CSV)
    with monkeypatch.context() as patched:
        patched.setattr(imports, "COMPLETE", "UPDATE jobs SET done = 77 WHERE id = %(id)s")
        with pytest.raises(IntegrityError):
            imports.import_some()
    assert not Customer.objects.exists()

    work_off()

    assert Customer.objects.count() == 2
    assert Job.objects.get().done == 4


def test_a_cancelled_import_stops_and_leaves_nothing_behind(api):
    job = job_of(upload(api, CSV))

    jobs.cancel(job)
    work_off()

    assert not Customer.objects.exists()
    assert not ImportChunk.objects.exists()
    assert not imports.is_due()


def test_whoever_is_merged_away_is_told_by_its_line(api, customer):
    customer(state="merged", merged_into="bob")

    answer = upload(api, "external_id,name\nada,Ada\n")
    work_off()

    assert [(each["line"], each["code"]) for each in job_of(answer).errors] == [(2, "not_active")]
    assert Customer.objects.get().name == ""


def test_another_tenant_has_its_own_customers(api, client_of, other_tenant, tenant):
    upload(api, "external_id,name\nada,Ours\n")
    upload(client_of(other_tenant), "external_id,name\nada,Theirs\n")
    work_off()

    assert Customer.objects.for_tenant(tenant).get().name == "Ours"
    assert Customer.objects.for_tenant(other_tenant).get().name == "Theirs"


def test_segments_are_told_of_whom_an_import_makes(api, tenant, fake_time):
    at = fake_time()
    reads = {"fields": ["plan"], "tags": False, "events": [], "times": False}
    Segment.objects.create(tenant=tenant, slug="s", name="s", rule={}, reads=reads, created_at=at, updated_at=at)

    upload(api, CSV)
    work_off()

    assert {due.participant_id for due in SegmentDue.objects.all()} >= {"ada", "cy"}


@pytest.mark.parametrize("size", [7, 16, 64, 4096])
def test_an_upload_is_cut_after_whole_records_whatever_the_size_of_a_piece(size):
    body = 'a,"x\ny"\nb,"say ""hi""\n\n"\nc,\n' * 5

    found = list(uploads.chunks(io.BytesIO(body.encode()), quoted=True, line=2, size=size))

    assert b"".join(content for _, content in found).decode() == body
    assert all(content.count(b'"') % 2 == 0 and content.endswith(b"\n") for _, content in found)
    assert [line for line, _ in found] == [
        2 + sum(content.count(b"\n") for _, content in found[:place]) for place in range(len(found))
    ]


TYPED = """external_id,age,score,vip,note
ada,42,-1.5e1,TRUE,7
bob,old,,,
cy,1e999,,,
di,,,yes,
ed,99999999999999999999,,,
"""


def test_columns_of_a_type_are_what_rules_can_compare(api, tenant):
    types = quote(json.dumps({"age": "number", "score": "number", "vip": "boolean"}))
    answer = api.generic("POST", f"{URL}?types={types}", TYPED.encode(), content_type="text/csv")
    work_off()

    assert answer.status_code == 202, answer.content
    ada = Customer.objects.get(external_id="ada")
    assert ada.properties == {"age": 42, "score": -15.0, "vip": True, "note": "7"}
    assert [(each["line"], each["code"]) for each in job_of(answer).errors] == [
        (3, "invalid"),
        (4, "invalid"),
        (5, "invalid"),
    ]
    rule = {"path": "participant.age", "op": "gt", "value": 30}
    found = api.post("/api/v1/segments/preview", {"rule": rule}).json()
    assert found["sample"] == ["ed", "ada"]


@pytest.mark.parametrize(
    ("types", "attr"),
    [
        ('{"age": "date"}', "types.age"),
        ('{"gone": "number"}', "types.gone"),
        ('{"external_id": "number"}', "types.external_id"),
        ('{"age": 1}', "types"),
        ("[]", "types"),
        ("{", "types"),
        ('{"age": "number", "age": "text"}', "types"),
    ],
)
def test_what_is_no_type_of_a_column_is_refused_before_anything_is_kept(api, types, attr):
    answer = api.generic("POST", f"{URL}?types={quote(types)}", TYPED.encode(), content_type="text/csv")

    assert answer.status_code == 400
    assert [each["attr"] for each in answer.json()["errors"]] == [attr]
    assert not Job.objects.exists()


def test_lines_of_json_have_types_of_their_own(api):
    types = quote('{"a": "number"}')
    answer = api.generic("POST", f"{URL}?types={types}", b"{}", content_type="application/x-ndjson")

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "types.a")
