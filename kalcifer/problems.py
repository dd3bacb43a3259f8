"""Where errors become answers: the only place where HTTP and the domain meet."""

import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.core.exceptions import BadRequest, DisallowedHost, SuspiciousOperation
from django.db import DataError, Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.views import defaults
from drf_standardized_errors import handler as standardized
from rest_framework import exceptions
from rest_framework.response import Response

from engine import errors as engine_errors
from flows import errors as flow_errors
from marketing import errors as marketing_errors
from tenants import errors as tenant_errors
from tenants.api.inputs import flatten
from tenants.api.media import dumps
from tenants.errors import KalciferError

log = structlog.get_logger(__name__)

STATUS_FOR: Final[dict[type[KalciferError], int]] = {
    tenant_errors.Invalid: 400,
    tenant_errors.InvalidInput: 400,
    tenant_errors.NotAuthorized: 403,
    tenant_errors.NotFound: 404,
    tenant_errors.UnknownSecret: 404,
    tenant_errors.NameTaken: 409,
    tenant_errors.IdempotencyInProgress: 409,
    tenant_errors.BodyTooLarge: 413,
    tenant_errors.IdempotencyKeyReused: 422,
    tenant_errors.RateLimited: 429,
    flow_errors.FlowError: 409,
    flow_errors.InvalidGraph: 400,
    flow_errors.InvalidStrategy: 400,
    engine_errors.UnknownFlow: 404,
    engine_errors.UnknownInstance: 404,
    engine_errors.UnknownActivity: 404,
    engine_errors.UnknownSchedule: 404,
    engine_errors.UnknownScheduledWork: 404,
    engine_errors.UnknownJob: 404,
    engine_errors.UnknownAggregate: 404,
    engine_errors.UnreadableLog: 409,
    engine_errors.InvalidMoment: 400,
    engine_errors.EntryRefused: 409,
    engine_errors.FrequencyCapExceeded: 429,
    engine_errors.AmbiguousEntryNode: 400,
    engine_errors.UnknownEntryNode: 400,
    engine_errors.MissingCorrelationKey: 400,
    engine_errors.InvalidCorrelationKey: 400,
    engine_errors.InvalidEvent: 400,
    engine_errors.InvalidAggregate: 400,
    engine_errors.AggregateTaken: 409,
    engine_errors.ConcurrencyConflict: 409,
    engine_errors.InvalidRetry: 400,
    engine_errors.InvalidSchedule: 400,
    engine_errors.InvalidSignature: 401,
    engine_errors.NothingChosen: 400,
    engine_errors.InvalidSaga: 400,
    engine_errors.SagaChanged: 409,
    engine_errors.UnknownSaga: 404,
    engine_errors.UnknownDefinition: 400,
    engine_errors.InvalidSagaInput: 400,
    engine_errors.SagaExists: 409,
    engine_errors.SagaFinished: 409,
    engine_errors.SagaRunning: 409,
    engine_errors.SagaEnding: 409,
    engine_errors.SagaNotStuck: 409,
    engine_errors.SagaNotRecoverable: 409,
    marketing_errors.CustomerExists: 409,
    marketing_errors.CustomerErased: 409,
    marketing_errors.NotMergeable: 409,
    marketing_errors.JourneyArchived: 409,
    marketing_errors.JourneyNotDraft: 409,
    marketing_errors.NotResendable: 409,
    marketing_errors.SegmentIsDynamic: 409,
    marketing_errors.SegmentIsStatic: 409,
}

# SQLSTATE classes and states that say "not now": connection, resources, operator's intervention, system; then
# serialization failure, deadlock, lock timeout and statement timeout (57014, which is of an "away" class).
AWAY: Final = ("08", "53", "57", "58")
BUSY: Final = frozenset(("40001", "40P01", "55P03", "57014"))
TOO_LARGE_FOR_INDEX: Final = "54000"
RETRY_SECONDS: Final = 1


def status_of(error: KalciferError) -> int:
    """The status of an error: its class's, else that of the nearest class above it; 500 for what is internal."""
    for kind in type(error).__mro__:
        if status := STATUS_FOR.get(kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


class Refusal(exceptions.APIException):
    """An answer that is ready to be given: its status, its problems, and what stands beside them."""

    def __init__(
        self,
        status: int,
        problems: list[dict[str, Any]],
        *,
        extra: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Keep the parts; `wait` is what REST framework makes a Retry-After of."""
        super().__init__()
        self.status_code = status
        self.problems = problems
        self.extra = dict(extra or {})
        self.wait = None if retry_after is None else max(1, -int(-retry_after // 1))


def exception_handler(exc: Exception, context: Any) -> Response | None:
    """REST framework's way in."""
    return ExceptionHandler(exc, context).run()


class ExceptionHandler(standardized.ExceptionHandler):
    """Every error in the one shape of drf-standardized-errors; ours by their table."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """What is known, as the answer to it."""
        if isinstance(exc, KalciferError):
            return from_domain(exc)
        if isinstance(exc, (Error, UnicodeEncodeError)) and (refusal := from_database(exc)):
            return refusal
        if isinstance(exc, (SuspiciousOperation, BadRequest, MultiPartParserError)):
            return Refusal(400, [problem("bad_request", "The request cannot be read.")])
        return super().convert_known_exceptions(exc)

    def should_not_handle(self, exc: Exception) -> bool:
        """Also with DEBUG an error is an answer in JSON; its traceback is in the log."""
        return False

    def format_exception(self, exc: exceptions.APIException) -> dict[str, Any]:
        """The body of the answer."""
        problems = exc.problems if isinstance(exc, Refusal) else [found.as_json() for found in flatten(exc.detail)]
        extra = exc.extra if isinstance(exc, Refusal) else {}
        if exc.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            extra = extra | request_id(self.context.get("request"))
        return body_of(exc.status_code, problems, extra)


def body_of(status: int, problems: list[dict[str, Any]], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The one shape."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "client_error"
    return {
        "type": "validation_error" if status == HTTPStatus.BAD_REQUEST else kind,
        "errors": problems,
        **(extra or {}),
    }


def problem(code: str, detail: str, attr: str | None = None) -> dict[str, Any]:
    """One entry of `errors`."""
    return {"code": code, "detail": detail, "attr": attr}


def request_id(request: Any) -> dict[str, str]:
    """The request's id, where one was given to it: with it an operator finds the log lines of a server error."""
    found = getattr(request, "request_id", None)
    return {"request_id": str(found)} if found else {}


def from_domain(error: KalciferError) -> Exception:
    """The answer to an error of ours; one that is not in the table is a bug, and looks like one."""
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return error
    several = getattr(error, "problems", None)
    found = [one.as_json() for one in several] if several else [problem(error.code, error.detail, error.attr)]
    return Refusal(status, found, extra=error.extra, retry_after=error.retry_after)


def from_database(error: Exception) -> Refusal | None:
    """The answer to an error of the database that is not our mistake; None for one that is."""
    state = str(getattr(error.__cause__, "sqlstate", None) or getattr(error, "sqlstate", None) or "")
    if state in BUSY:
        return unavailable("busy", "Too much is going on at once; nothing was changed, send this again.")
    lost = isinstance(error, InterfaceError) or (
        isinstance(error, OperationalError) and (not state or state.startswith(AWAY))
    )
    if lost:
        return unavailable("database_unavailable", "The database is away; nothing was changed, send this again.")
    if isinstance(error, (DataError, UnicodeEncodeError)) or state == TOO_LARGE_FOR_INDEX:
        # The last net: checks before this should have named the field.
        log.warning("request.value_refused_by_database", exc_info=error)
        return Refusal(400, [problem("invalid_value", "A value is of a kind or size that cannot be stored.")])
    return None


def unavailable(code: str, detail: str) -> Refusal:
    """A 503 that says when to try again."""
    return Refusal(503, [problem(code, detail)], retry_after=RETRY_SECONDS)


def is_api(request: HttpRequest) -> bool:
    """Whether the caller expects JSON."""
    return request.path.startswith("/api/")


def answer(status: int, code: str, detail: str, extra: Mapping[str, Any] | None = None) -> HttpResponse:
    """An answer outside of REST framework, in the same shape."""
    content = dumps(body_of(status, [problem(code, detail)], extra))
    return HttpResponse(content, status=status, content_type="application/json")


def _or_page(page: Callable[..., HttpResponse], status: int, code: str, detail: str) -> Callable[..., HttpResponse]:
    # Django's handler of a status: JSON below /api/, Django's own page elsewhere.
    def handle(request: HttpRequest, exception: Exception) -> HttpResponse:
        return answer(status, code, detail) if is_api(request) else page(request, exception=exception)

    return handle


_unreadable = _or_page(defaults.bad_request, 400, "bad_request", "The request cannot be read.")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say of an unknown name what to do about it; the rest is told as what cannot be read."""
    if not isinstance(exception, DisallowedHost):
        return _unreadable(request, exception)
    detail = "The server does not answer under this name: add it to ALLOWED_HOSTS."
    return answer(400, "bad_request", detail) if is_api(request) else HttpResponse(detail, "text/plain", status=400)


handler403 = _or_page(defaults.permission_denied, 403, "permission_denied", "This is not allowed.")
handler404 = _or_page(defaults.page_not_found, 404, "not_found", "There is no such address.")


def handler500(request: HttpRequest) -> HttpResponse:
    """An error outside of REST framework; a database that is away is a 503 here too."""
    error = sys.exc_info()[1]
    refusal = from_database(error) if isinstance(error, Error) else None
    if refusal is not None and refusal.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        found = refusal.problems[0]
        given = (
            answer(503, found["code"], found["detail"], request_id(request))
            if is_api(request)
            else HttpResponse(found["detail"], status=503)
        )
        given["Retry-After"] = str(RETRY_SECONDS)
        return given
    if is_api(request):
        return answer(500, "error", "An error of the server's; it is in its log.", request_id(request))
    return defaults.server_error(request)
