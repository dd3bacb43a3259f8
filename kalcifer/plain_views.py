"""Views beside REST framework: what they refuse has the one shape too."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from kalcifer.problems import answer


def read_only(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let only GET and HEAD reach a view."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            return view(request)
        refused = answer(405, "method_not_allowed", f'Method "{request.method}" not allowed.')
        refused["Allow"] = "GET, HEAD"
        return refused

    return guarded
