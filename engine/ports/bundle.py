"""The bundle of those who answer the ports, and how it is bound."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from engine.code_ports import FunctionLookup, Sandbox
from engine.message_caps import MessageCaps, NoCaps
from engine.ports.calls import HttpCaller, SecretLookup
from engine.ports.messages import ConversionSink, DeliveryLookup, MessagePreview, MessageSender
from engine.ports.nobody import Nobody
from engine.ports.people import PreferenceLookup, ProfileStore, SegmentLookup

_NOBODY = Nobody()


@dataclass(frozen=True, slots=True)
class Ports:
    """Who answers each port."""

    profiles: ProfileStore = _NOBODY
    segments: SegmentLookup = _NOBODY
    preferences: PreferenceLookup = _NOBODY
    messages: MessageSender = _NOBODY
    previews: MessagePreview = _NOBODY
    deliveries: DeliveryLookup = _NOBODY
    conversions: ConversionSink = _NOBODY
    secrets: SecretLookup = _NOBODY
    http: HttpCaller = _NOBODY
    caps: MessageCaps = field(default_factory=NoCaps)
    sandbox: Sandbox = _NOBODY
    functions: FunctionLookup = _NOBODY


@dataclass(slots=True)
class _Binding:
    ports: Ports = field(default_factory=Ports)


_binding = _Binding()


def bound() -> Ports:
    """Give the ports of this process."""
    return _binding.ports


def bind(**adapters: Any) -> Ports:
    """Put adapters behind some of the ports, when an app starts or a test does; give the bundle as it was before."""
    before = _binding.ports
    _binding.ports = replace(before, **adapters)
    return before


@contextmanager
def binding(**adapters: Any) -> Iterator[Ports]:
    """Bind for the time of a block; for tests."""
    before = bind(**adapters)
    try:
        yield _binding.ports
    finally:
        _binding.ports = before
