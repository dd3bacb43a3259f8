"""The bench as a client: one connection that is kept open."""

from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import orjson

from benchmarks.failures import Unaccounted

ERRORS_FROM = 400


class Client:
    """One client of the API; each thread has its own."""

    def __init__(self, url: str, api_key: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    def post(self, path: str, body: bytes) -> Any:
        """Send, and give the answer; raises Unaccounted where it is an error."""
        self._connection.request("POST", f"/api/v1{path}", body=body, headers=self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= ERRORS_FROM:
            raise Unaccounted(f"POST {path} answered {response.status}: {answer[:500]!r}")
        return orjson.loads(answer)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
