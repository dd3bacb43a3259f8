"""Which addresses may be called on behalf of a tenant: public ones, and those that the operator allows."""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Public by number, but a cloud's own metadata service.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddress(Exception):
    """A host has no address that may be called."""


class UnknownHost(Exception):
    """A host has no address at all."""


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Refuses what is not public, except allowed networks (`10.0.0.0/8`), host names, or everything (`*`)."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = field(default_factory=frozenset)
    everything: bool = False

    @classmethod
    def allowing(cls, allowed: str | Iterable[str]) -> "AddressGuard":
        """Read the operator's list; a text is a list separated by commas."""
        items = [item.strip() for item in (allowed.split(",") if isinstance(allowed, str) else allowed)]
        networks, hosts = [], set()
        for item in filter(None, items):
            try:
                networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                hosts.add(item.lower())
        return cls(tuple(networks), frozenset(hosts), "*" in hosts)

    def resolve(self, host: str, port: int) -> list[str]:
        """Give the addresses of a host that may be called; connect to one of these, and do not resolve again."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UnknownHost(f'the host "{host}" has no address') from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        permitted = [address for address in addresses if self.permits(host, address)]
        if not permitted:
            raise ForbiddenAddress(f'the host "{host}" is not on the public internet')
        return permitted

    def permits(self, host: str, address: str) -> bool:
        """Tell whether this address of this host may be called."""
        if self.everything or host.lower().rstrip(".") in self.hosts:
            return True
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if any(parsed.version == network.version and parsed in network for network in self.networks):
            return True
        return all(map(_is_public, _meanings(parsed)))


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _METADATA


def _meanings(address: Address) -> list[Address]:
    # IPv6 has several ways to write an IPv4 address; the call would go there.
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    inner: list[Address] = [address]
    if address.sixtofour:
        inner.append(address.sixtofour)
    if address.teredo:
        inner.extend(address.teredo)
    return inner
