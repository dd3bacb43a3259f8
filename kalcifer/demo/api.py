"""The REST API as a client sees it: retried while the other side is away, with keys that make that safe."""

import logging
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx

JSON = dict[str, Any]

PATIENCE = 30.0
PAUSE = 0.25


# A line per request would bury the progress.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Refused(Exception):
    """An answer that a retry would not change."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(
            f"{response.request.method} {response.request.url}: HTTP {response.status_code} {response.text[:500]}"
        )
        self.status = response.status_code


class Api:
    """One tenant's access to a running Kalcifer."""

    def __init__(self, url: str, key: str, ended: threading.Event) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=10, trust_env=False
        )
        self._ended = ended

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(self, path: str, **params: Any) -> JSON:
        """Read."""
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: JSON | None = None, *, once: str = "") -> JSON:
        """Act; `once` is the Idempotency-Key."""
        return self._ask("POST", path, json=body or {}, headers={"Idempotency-Key": once} if once else {})

    def put(self, path: str, body: JSON) -> JSON:
        """Make it so."""
        return self._ask("PUT", path, json=body)

    def patch(self, path: str, body: JSON) -> JSON:
        """Change a part."""
        return self._ask("PATCH", path, json=body)

    def deliver(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        """Call as somebody else would, who has a signature and no key."""
        self._ask("POST", path, content=body, headers={"Content-Type": "application/json", **headers})

    def pages(self, path: str, **params: Any) -> Iterator[JSON]:
        """Every row of a list, page by page."""
        url: str | None = path
        while url:
            page = self.get(url, **(params if url == path else {}))
            yield from page["results"]
            url = page["next"]

    def _ask(self, method: str, path: str, **request: Any) -> JSON:
        deadline = time.monotonic() + PATIENCE
        if not request.get("params"):
            request.pop("params", None)
        while True:
            try:
                response = self._http.request(method, path, **request)
            except httpx.TransportError:
                if time.monotonic() > deadline or self._ended.is_set():
                    raise
            else:
                if not _may_pass(response):
                    break
                if time.monotonic() > deadline or self._ended.is_set():
                    raise Refused(response)
            self._ended.wait(PAUSE)
        if response.is_error:
            raise Refused(response)
        answer: JSON = response.json()
        return answer


# Away, too busy, or still at work on the same key.
def _may_pass(response: httpx.Response) -> bool:
    busy = response.status_code == HTTPStatus.CONFLICT and "idempotency_in_progress" in response.text
    return busy or response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error
