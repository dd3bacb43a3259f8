"""The pages behind the links in messages; looking at one changes nothing, because scanners look at all of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from marketing.links import answering, tokens, words
from marketing.links.tokens import Purpose, Ticket
from marketing.models import Link, Topic

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
}


# The token is what allows the act, and mail programs send no cookie: there is no session to be ridden.
@method_decorator([csrf_exempt, transaction.non_atomic_requests], name="dispatch")
class MessageLink(View):
    """`/u/{token}`: GET shows what the link does, POST does it, as mail programs do with one click (RFC 8058)."""

    http_method_names = ["get", "head", "post", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Read the token first; a page says what is wrong with one that is not ours, or is too old."""
        self.language = words.best(request.headers.get("Accept-Language", ""))
        try:
            self.ticket = tokens.read(kwargs["token"])
        except tokens.Forged:
            return self.page("failed_title", "forged", status=HTTPStatus.NOT_FOUND)
        except tokens.Expired:
            return self.page("failed_title", "expired", status=HTTPStatus.GONE)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        """Show the page, or go on to the tenant's own."""
        customer = answering.customer_of(self.ticket)
        if customer is not None and customer.locale:
            self.language = words.best(request.headers.get("Accept-Language", ""), customer.locale)
        match self.ticket.purpose:
            case Purpose.GO:
                return self.go_on()
            case Purpose.CONFIRM:
                return self.page("confirm_title", "confirm_ask", [("topic", "confirm_button")])
            case _ if self.ticket.topic:
                choices = [("topic", "unsubscribe_button"), ("all", "unsubscribe_all_button")]
                return self.page("unsubscribe_title", "unsubscribe_ask", choices)
            case _:
                return self.page("unsubscribe_title", "unsubscribe_ask_all", [("all", "unsubscribe_button")])

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        """Do what the link is for; to do it again changes nothing."""
        match self.ticket.purpose:
            case Purpose.GO:
                return self.go_on()
            case Purpose.CONFIRM:
                if answering.confirm(self.ticket, token):
                    return self.page("done_title", "confirmed")
                return self.page("failed_title", "expired", status=HTTPStatus.GONE)
            case _:
                answering.unsubscribe(self.ticket, everything=request.POST.get("scope") == "all")
                return self.page("done_title", "unsubscribed")

    def go_on(self) -> HttpResponse:
        """To the page that the tenant keeps under the link's name: no address is ever taken from the token."""
        link = Link.objects.filter(tenant_id=self.ticket.tenant_id, slug=self.ticket.name).first()
        if link is None:
            return self.page("failed_title", "expired", status=HTTPStatus.GONE)
        answer = HttpResponseRedirect(link.url)
        return _sealed(answer)

    def page(
        self, title: str, text: str, choices: list[tuple[str, str]] | None = None, *, status: int = HTTPStatus.OK
    ) -> HttpResponse:
        """A page in the reader's language."""
        said = words.of(self.language)
        ticket = getattr(self, "ticket", None)
        names = _names(ticket, said) if ticket else {}
        shown = {
            "language": self.language,
            "title": said[title].format_map(names),
            "text": said[text].format_map(names),
            "status": not choices,
            "buttons": [{"scope": scope, "label": said[label].format_map(names)} for scope, label in choices or ()],
        }
        return _sealed(render(self.request, "links/page.html", shown, status=status))


def _sealed(answer: HttpResponse) -> HttpResponse:
    for name, value in HEADERS.items():
        answer[name] = value
    return answer


def _names(ticket: Ticket, said: Any) -> dict[str, str]:
    topic = Topic.objects.filter(tenant_id=ticket.tenant_id, slug=ticket.topic).first() if ticket.topic else None
    return {
        "topic": topic.name if topic else ticket.topic,
        "channel": said.get(ticket.channel, ticket.channel),
    }
