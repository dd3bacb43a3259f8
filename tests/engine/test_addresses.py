import socket

import pytest

from engine.addresses import AddressGuard, ForbiddenAddress, UnknownHost


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_what_is_not_public_is_refused(address):
    assert not AddressGuard().permits("example.com", address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_what_is_public_may_be_called(address):
    assert AddressGuard().permits("example.com", address)


def test_the_operator_may_allow_networks_and_hosts():
    guard = AddressGuard.allowing("10.0.0.0/8, crm.internal")
    assert guard.permits("x", "10.1.2.3")
    assert guard.permits("CRM.internal.", "192.168.1.1")
    assert not guard.permits("x", "192.168.1.1")
    assert AddressGuard.allowing(["*"]).permits("x", "127.0.0.1")
    assert not AddressGuard.allowing("").permits("x", "127.0.0.1")


def answering(monkeypatch, *addresses):
    def getaddrinfo(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_of_a_hosts_addresses_only_the_permitted_are_given(monkeypatch):
    answering(monkeypatch, "127.0.0.1", "93.184.216.34")
    assert AddressGuard().resolve("example.com", 443) == ["93.184.216.34"]
    answering(monkeypatch, "127.0.0.1")
    with pytest.raises(ForbiddenAddress):
        AddressGuard().resolve("example.com", 443)


def test_a_host_without_an_address_is_unknown():
    with pytest.raises(UnknownHost):
        AddressGuard().resolve("no.such.host.invalid", 443)
    with pytest.raises(UnknownHost):
        AddressGuard().resolve("a" * 70 + ".example.com", 443)
