"""Somebody else's service: takes the flows' calls, fails now and then, and counts effects by idempotency key."""

import json
import threading
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

# By a hash of the call: answers before the first success. `drop` does what it is asked and hangs up without an answer.
MOODS: tuple[tuple[str, ...], ...] = ((), (), (), (), (), ("500",), ("429",), ("500", "429"), ("500", "500"), ("drop",))


@dataclass(slots=True)
class Ledger:
    """What was asked and done: for each (effect, run) the keys, and how often each was done."""

    done: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, call: tuple[str, str], key: str, *, card: str) -> str:
        """Decide about a call and note it: `ok`, `drop`, `402`, `429` or `500`."""
        mood = MOODS[zlib.crc32(" ".join(call).encode()) % len(MOODS)]
        with self.lock:
            turn = self.calls[call]
            self.calls[call] += 1
            answer = mood[turn] if turn < len(mood) else "402" if card == "declined" else "ok"
            self.answers[answer] += 1
            if answer in {"ok", "drop"} and card != "declined":
                self.done[call][key] += 1
            return answer


class Receiver:
    """An HTTP server on loopback for as long as the `with` block lasts."""

    def __init__(self, port: int) -> None:
        self.ledger = Ledger()
        handler = type("_Handler", (_Handler,), {"ledger": self.ledger})
        try:
            self._server = _Server(("127.0.0.1", port), handler)
        except OSError:  # somebody else has it; flows get a version with the new address
            self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    # A caller that was killed is no trouble of the receiver's.
    def handle_error(self, request: Any, client_address: Any) -> None:
        return


class _Handler(BaseHTTPRequestHandler):
    ledger: Ledger

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body: dict[str, Any] = json.loads(self.rfile.read(size) or b"{}")
        call = (str(body.get("effect")), str(body.get("run")))
        answer = self.ledger.take(call, self.headers.get("Idempotency-Key", ""), card=str(body.get("card", "")))
        match answer:
            case "ok":
                self._answer(HTTPStatus.OK, {"done": True})
            case "drop":
                self.close_connection = True
            case "429":
                self._answer(HTTPStatus.TOO_MANY_REQUESTS, {"error": "slow down"}, retry_after=1)
            case _:
                self._answer(HTTPStatus(int(answer)), {"error": answer})

    def log_message(self, *_: Any) -> None:
        return

    def _answer(self, status: HTTPStatus, body: dict[str, Any], retry_after: int | None = None) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(payload)
