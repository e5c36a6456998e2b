"""Where a request comes from, and which proxies are believed."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from api.config.settings import ConfigurationError, Settings, load_settings
from api.rates.addresses import Addresses, site


def address(trusted: str, peer: str | None, *forwarded: str) -> str | None:
    scope = {
        "type": "http",
        "client": None if peer is None else (peer, 1),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    return Addresses(Settings(_env_file=None, trusted_proxies=trusted)).of(Request(scope))


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ("", "192.0.2.1", [], "192.0.2.1"),
        ("", "192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("", None, ["203.0.113.9"], None),
        ("10.0.0.1", "192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", "10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        # what is left of the last untrusted address may be invented
        ("10.0.0.1", "10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", "10.0.0.1", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8, ::1", "::1", ["198.51.100.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", "10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", ["203.0.113.9, "], "10.0.0.1"),
        # some proxies write ports, and brackets around IPv6
        ("10.0.0.1", "10.0.0.1", ["203.0.113.9:51234"], "203.0.113.9"),
        ("10.0.0.1", "10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", ["[2001:db8::1], 10.0.0.2:80"], "2001:db8::1"),
        ("10.0.0.1", "10.0.0.1", ["[fe80::1%eth0]:1"], "fe80::1"),
        ("10.0.0.1", "10.0.0.1", ["[::ffff:203.0.113.9]:1"], "203.0.113.9"),
        *(
            ("10.0.0.1", "10.0.0.1", [f"203.0.113.9, {none}"], "10.0.0.1")
            for none in ("203.0.113.9:", "203.0.113.9:x", "[203.0.113.9", "[]", "[]:80", "[::1]80", "[[::1]]", ":80")
        ),
        ("10.0.0.1", "10.0.0.1", ["2001:db8::1:443"], "2001:db8::1:443"),
        ("10.0.0.1", "::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("fe80::/10", "fe80::1%eth0", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_proxies_that_are_trusted_speak_for_their_clients(
    trusted: str, peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    assert address(trusted, peer, *forwarded) == expected


def test_an_ipv6_customer_is_one_site() -> None:
    assert site("192.0.2.1") == "192.0.2.1"
    assert site("2001:db8:1:2:3::4") == site("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert site("2001:db8:1:3::") != site("2001:db8:1:2::")


@pytest.mark.parametrize("proxies", ["proxy", "10.0.0.1/8", "10.0.0.1;10.0.0.2", "*"])
def test_proxies_that_are_no_addresses_are_named(proxies: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^TRUSTED_PROXIES: must be addresses or networks, such as "):
        load_settings(trusted_proxies=proxies)
