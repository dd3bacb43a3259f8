"""Every view of the API derives from `TenantView`, which does what a view could forget.

A view is parse, call, answer:

    class FlowsView(TenantView):
        class Filters(serializers.Serializer):          # query parameters of GET; any other is a 400
            status = serializers.CharField(required=False)

        class Input(serializers.Serializer):
            name = serializers.CharField(max_length=255)

        paginated = True                                 # GET also takes `cursor` and `page_size`

        def get(self, request: TenantRequest) -> Response:
            rows = Flow.objects.for_tenant(request.tenant).filter(**self.filters())
            return self.paginate(rows, FlowSerializer)   # or a function row -> dict; ordering=("-id",)

        def post(self, request: TenantRequest) -> Response:
            flow = flows.create(request.tenant, **self.parse(self.Input))
            return Response(FlowSerializer(flow).data, status=201)

    class FlowView(TenantView):
        def get(self, request: TenantRequest, flow_id: str) -> Response:
            return Response(FlowSerializer(self.get_row(Flow, flow_id)).data)

URLs are declared with `tenants.api.routing.path("flows/<str:flow_id>", FlowView.as_view(), "flow")`: ids as `str`, so
that a malformed one is the 404 of `get_row`. Reading needs the role viewer, every other method editor; `read_role` and
`write_role` change that. `max_body` is the limit of the body, `rate_route` the name of its limit in
KALCIFER_RATE_LIMITS. Refusals are raised as subclasses of `tenants.errors.KalciferError`; `kalcifer.problems` gives
each its status.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework import serializers
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants import errors, idempotency, throttling
from tenants.api import bodies, inputs, pagination
from tenants.api.media import JSONParser, JSONRenderer, Negotiation
from tenants.api.parts import Part
from tenants.api.schema import KalciferSchema
from tenants.authentication import BearerAuthentication, Principal
from tenants.managers import TenantScopedQuerySet
from tenants.models import Role, Tenant

Row = TypeVar("Row", bound=Model)
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class TenantRequest(Request):
    """A request whose caller is known."""

    tenant: Tenant
    principal: Principal


class ApiView(APIView):
    """What holds for every call, with a key or without: JSON, limits, known parameters, one shape of errors."""

    class Filters(serializers.Serializer[Any]):
        """The query parameters of GET."""

    authentication_classes: Any = ()
    permission_classes = ()
    throttle_classes = ()
    versioning_class = None
    parser_classes = (JSONParser,)
    renderer_classes: Any = (JSONRenderer,)
    content_negotiation_class = Negotiation
    schema: Any = KalciferSchema()

    max_body: ClassVar[int] = bodies.MIB
    streams: ClassVar[bool] = False
    paginated: ClassVar[bool] = False

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view function. A project's ATOMIC_REQUESTS does not apply: each act has a transaction of its own."""
        return transaction.non_atomic_requests(super().as_view(**initkwargs))

    def get_exception_handler(self) -> Callable[..., Any]:
        """The project's table from errors to answers."""
        return cast(
            "Callable[..., Any]",
            import_string(getattr(settings, "KALCIFER_EXCEPTION_HANDLER", "kalcifer.problems.exception_handler")),
        )

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> TenantRequest:
        """The request as REST framework knows it."""
        return TenantRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Everything that is checked before the handler runs."""
        self.format_kwarg = None
        chosen = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = chosen
        self.admit(cast("TenantRequest", request))
        for name, value in kwargs.items():
            if "\0" in str(value):
                raise errors.InvalidString("The URL contains the character NUL (U+0000).", attr=name)
        inputs.check_query(request.query_params, self.known_parameters(str(request.method)))
        # Read and parsed here, so that a body is refused for its size or form also where no handler looks at it.
        # A view that takes its body as a stream reads it itself.
        if self.streams or request.method in SAFE:
            return
        if bodies.read(request._request, self.max_body):  # noqa: SLF001
            request.data  # noqa: B018  # the property parses, once

    def admit(self, request: TenantRequest) -> None:
        """Decide whether this caller may do this now."""
        self.check_method(request)

    def check_method(self, request: Request) -> None:
        """A method that the view lacks is a 405 before it is a question of roles."""
        method = str(request.method)
        if method.lower() not in self.http_method_names or not hasattr(self, method.lower()):
            raise MethodNotAllowed(method)

    def known_parameters(self, method: str) -> frozenset[str]:
        """The query parameters that this method takes."""
        if method not in SAFE:
            return frozenset()
        return inputs.names_of(self.Filters) | (pagination.PARAMETERS if self.paginated else frozenset())

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """The methods, in `Allow`."""
        return Response(status=204)

    def filters(self) -> dict[str, Any]:
        """The validated query parameters; those that were not sent are missing."""
        return inputs.parse_query(self.Filters, self.request.query_params)

    def parse(
        self,
        serializer_class: type[serializers.BaseSerializer[Any]],
        *,
        prefix: str = "",
        add: Mapping[str, Any] | None = None,
    ) -> Any:
        """The validated body, with what is added to it (a name from the URL).

        `Invalid` has every problem and the path of its field, below `prefix`.
        """
        sent = {**self.body_object(), **add} if add else self.request.data
        return inputs.parse(serializer_class, sent, prefix=prefix)

    def raw_body(self) -> bytes:
        """The body as it came, to the byte: what signatures are made over."""
        return bodies.read(self.request._request, self.max_body)  # noqa: SLF001

    def body_object(self) -> dict[str, Any]:
        """The body as it came, for views that check it by hand; `Invalid` when it is not an object."""
        if not isinstance(self.request.data, dict):
            raise errors.Invalid([errors.Problem("invalid", "The body has to be a JSON object.")])
        return self.request.data


class TenantView(ApiView):
    """A view of one tenant's things; see the top of this module for its use."""

    authentication_classes = (BearerAuthentication,)

    read_role: ClassVar[Role] = Role.VIEWER
    write_role: ClassVar[Role] = Role.EDITOR
    rate_route: ClassVar[str] = "default"

    def admit(self, request: TenantRequest) -> None:
        """Key, method, role, rate, in this order."""
        principal = request.user
        if not isinstance(principal, Principal):
            raise NotAuthenticated("Send an API key as 'Authorization: Bearer <key>'.")
        request.principal, request.tenant = principal, principal.tenant
        self.check_method(request)
        needed = self.read_role if request.method in SAFE else self.write_role
        if not principal.role.allows(needed):
            raise errors.NotAuthorized(f"This needs a key of role {needed}; yours is {principal.role}.")
        throttling.spend(principal.tenant.pk, self.rate_route)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As for every view; a POST with an Idempotency-Key is then answered by way of `_post_once`."""
        super().initial(request, *args, **kwargs)
        if request.method == "POST" and "HTTP_IDEMPOTENCY_KEY" in request.META:
            self._handler = getattr(self, "post")  # noqa: B009  # check_method saw to it
            setattr(self, "post", self._post_once)  # noqa: B010  # REST framework looks the handler up on the view

    def _post_once(self, request: TenantRequest, *args: Any, **kwargs: Any) -> Response:
        # Answered from the stored bytes also the first time, so that both answers are the same to the byte.
        key = idempotency.check_key(request.META["HTTP_IDEMPOTENCY_KEY"])
        given: list[Response] = []

        def act() -> idempotency.Answer:
            given.append(self._handler(request, *args, **kwargs))
            body = JSONRenderer().render(given[0].data)
            return idempotency.Answer(given[0].status_code, body)

        of = idempotency.fingerprint("POST", request.get_full_path(), self.raw_body())
        answer = idempotency.once(request.tenant.pk, key, of=of, act=act)
        if not answer.replayed:
            return given[0]
        replay = Response(orjson.loads(answer.body) if answer.body else None, status=answer.status)
        replay["Idempotent-Replayed"] = "true"
        return replay

    def get_row(self, rows: "type[Row] | QuerySet[Row]", key: Any, *, field: str = "id") -> Row:
        """The tenant's own row; `NotFound` when it is unknown, malformed or another tenant's."""
        queryset = rows if isinstance(rows, QuerySet) else rows._default_manager.get_queryset()  # noqa: SLF001
        found = self.scoped(queryset).filter(**{field: _identifier(queryset, field, key)}).first()
        if found is None:
            name = queryset.model._meta.verbose_name  # noqa: SLF001
            raise errors.NotFound(f"There is no {name} with this {field}.")
        return found

    def scoped(self, queryset: QuerySet[Row]) -> QuerySet[Row]:
        """The tenant's part of it."""
        return self.checked(queryset).for_tenant(cast("TenantRequest", self.request).tenant)

    def checked(self, queryset: QuerySet[Row]) -> TenantScopedQuerySet[Row]:
        """The queryset; one that does not know its tenant is a mistake in the view."""
        if not isinstance(queryset, TenantScopedQuerySet):
            raise TypeError(f"The queryset of {queryset.model.__name__} is no {TenantScopedQuerySet.__name__}.")
        return queryset

    def paginate(
        self,
        queryset: QuerySet[Any],
        show: "type[serializers.BaseSerializer[Any]] | Callable[[Any], Any]",
        *,
        ordering: tuple[str, ...] = ("-id",),
        parts: Sequence[Part] = (),
        sifted: Part | None = None,
    ) -> Response:
        """A page of the tenant's rows as `{next, previous, results}`; `show` is a serializer class or a function."""
        if not self.paginated:
            raise TypeError(f"{type(self).__name__} lacks paginated = True.")
        query = self.request.query_params
        page = pagination.cut(
            self.checked(queryset),
            tenant=cast("TenantRequest", self.request).tenant.pk,
            ordering=ordering,
            size=pagination.page_size(query.get("page_size")),
            cursor=query.get("cursor"),
            parts=parts,
            sifted=sifted,
        )
        if isinstance(show, type) and issubclass(show, serializers.BaseSerializer):
            results = show(page.rows, many=True).data
        else:
            results = [cast("Callable[[Any], Any]", show)(row) for row in page.rows]
        request = self.request._request  # noqa: SLF001
        links = {"next": pagination.link(request, page.following), "previous": pagination.link(request, page.preceding)}
        return Response({**links, "results": results})


def _identifier(queryset: QuerySet[Any], field: str, key: Any) -> Any:
    # Only ids are UUIDs; names (external_id) go as they are.
    column = queryset.model._meta.get_field(field)  # noqa: SLF001
    if column.get_internal_type() != "UUIDField" or isinstance(key, UUID):
        return key
    try:
        return UUID(key)
    except (ValueError, TypeError, AttributeError):
        raise errors.NotFound(f"There is no {queryset.model._meta.verbose_name} with this {field}.") from None  # noqa: SLF001
