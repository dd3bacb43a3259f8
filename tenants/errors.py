"""The root of every error that Kalcifer raises on purpose, and the errors of tenants and of the REST ground."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any, ClassVar


class KalciferError(Exception):
    """Something was refused.

    The first paragraph of a subclass's docstring is the `detail` that a client reads, unless one is given; `attr` is
    the path of the field to blame, `extra` what stands beside `errors`, `retry_after` the seconds to wait.
    """

    code: ClassVar[str] = "error"
    internal: ClassVar[bool] = False

    def __init__(
        self,
        detail: str | None = None,
        *,
        attr: str | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """An error with what the client needs to act on it."""
        self.detail = detail or " ".join(cleandoc(type(self).__doc__ or self.code).partition("\n\n")[0].split())
        self.attr = attr
        self.extra = dict(extra or {})
        self.retry_after = retry_after
        super().__init__(self.detail)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what was sent; `extra` stands beside it (`node_id`)."""

    code: str
    detail: str
    attr: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The shape of one entry of `errors`."""
        return {"code": self.code, "detail": self.detail, "attr": self.attr, **self.extra}


class Invalid(KalciferError):
    """What was sent is not valid."""

    code = "invalid"

    def __init__(self, problems: Iterable[Problem], *, extra: Mapping[str, Any] | None = None) -> None:
        """All the problems at once."""
        self.problems = list(problems)
        first = self.problems[0] if self.problems else Problem(self.code, "")
        super().__init__(first.detail, attr=first.attr, extra=extra)

    def below(self, prefix: str) -> "Invalid":
        """The same problems, seen from above: each path starts with `prefix`."""
        moved = [Problem(p.code, p.detail, f"{prefix}.{p.attr}" if p.attr else prefix, p.extra) for p in self.problems]
        return Invalid(moved, extra=self.extra)


class NotFound(KalciferError):
    """There is no such object."""

    code = "not_found"


class InvalidInput(KalciferError):
    """The request cannot be read."""

    code = "invalid_input"


class InvalidJson(InvalidInput):
    """The body is not valid JSON."""

    code = "invalid_json"


class InvalidString(InvalidInput):
    """A text contains characters that cannot be stored: NUL, or half of a surrogate pair."""

    code = "invalid_string"


class NumberOutOfRange(InvalidInput):
    """A number is too large: whole numbers have at most 64 bits."""

    code = "number_out_of_range"


class TooDeep(InvalidInput):
    """The JSON is nested too deeply: at most 64 levels."""

    code = "too_deep"


class DuplicateName(InvalidInput):
    """An object names the same field twice."""

    code = "duplicate_name"


class UnknownParameter(InvalidInput):
    """There is no such query parameter."""

    code = "unknown_parameter"


class RepeatedParameter(InvalidInput):
    """A query parameter is given more than once."""

    code = "repeated_parameter"


class InvalidCursor(InvalidInput):
    """The cursor is not one that this list gave; start again without it."""

    code = "invalid_cursor"


class InvalidIdempotencyKey(InvalidInput):
    """An Idempotency-Key has 1 to 255 printable ASCII characters."""

    code = "invalid_idempotency_key"


class BodyTooLarge(KalciferError):
    """The body is larger than this call accepts."""

    code = "body_too_large"


class NotAuthorized(KalciferError):
    """The key's role does not allow this."""

    code = "permission_denied"


class RateLimited(KalciferError):
    """The tenant's requests per second are used up; send this again later."""

    code = "throttled"


class IdempotencyInProgress(KalciferError):
    """The first request with this Idempotency-Key is still running; send this again for its answer."""

    code = "idempotency_in_progress"


class IdempotencyKeyReused(KalciferError):
    """This Idempotency-Key was used for another request within the last 24 hours; use a new one."""

    code = "idempotency_key_reused"


class NameTaken(KalciferError):
    """The name is taken."""

    code = "name_taken"


class UnknownSecret(KalciferError):
    """There is no secret of this name."""

    code = "unknown_secret"
