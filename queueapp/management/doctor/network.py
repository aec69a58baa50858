"""The way out: name servers, and the port that mail leaves by."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import dns.exception
import dns.nameserver
import dns.resolver

from queueapp.conf import Conf
from queueapp.management.doctor.finding import Finding, fail, ok, warn

_DNS_WITHIN = 5.0
_CONNECT_WITHIN = 10.0


def resolver_of(conf: Conf) -> dns.resolver.Resolver:
    if not conf.dns:
        return dns.resolver.Resolver()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(each.host, each.port) for each in conf.dns]
    return resolver


def names(conf: Conf) -> Iterator[Finding]:
    is_needed = conf.route.kind == "mx"
    where = ", ".join(str(each) for each in conf.dns) or "the system's"
    try:
        resolver = resolver_of(conf)
        resolver.resolve(".", "NS", lifetime=_DNS_WITHIN, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        pass  # an answer, too
    except (dns.exception.DNSException, OSError, ValueError) as error:
        told = f"name servers ({where}) do not answer: {str(error)[:150]}"
        advice = "Check /etc/resolv.conf or MAILWEIR_DNS, and that UDP and TCP port 53 are open."
        if is_needed:
            yield fail("dns", told, advice)
        else:
            yield warn("dns", f"{told}; this route needs none", advice)
        return
    yield ok("dns", f"name servers ({where}) answer")


def way_out(conf: Conf, domain: str = "") -> Iterator[Finding]:
    """By the route: a relay is connected to; for `mx` an MX of a domain that the administrator trusts."""
    if conf.route.kind == "sandbox":
        yield ok("port 25", "not used: MAILWEIR_ROUTE=sandbox, nothing leaves this machine")
    elif conf.route.kind == "relay":
        yield _greeting("relay", conf.route.host, conf.route.port, conf.route.tls == "implicit")
    else:
        domain = domain or _own_domain(conf)
        if domain:
            yield _mx(conf, domain)
        else:
            yield warn(
                "port 25",
                "not tried: no domain to try it with",
                "Name one: `manage.py doctor --to example.com`.",
            )


def _own_domain(conf: Conf) -> str:
    for address in conf.alert_to:
        return address.rpartition("@")[2]
    _, _, parent = conf.host.partition(".")
    return conf.host if "." in parent else ""


def _mx(conf: Conf, domain: str) -> Finding:
    try:
        found = resolver_of(conf).resolve(domain, "MX", lifetime=_DNS_WITHIN)
        host = str(min(found, key=lambda each: each.preference).exchange).rstrip(".")
    except dns.resolver.NoAnswer:
        host = domain
    except (dns.exception.DNSException, OSError, ValueError) as error:
        return fail("port 25", f"no MX of {domain}: {str(error)[:150]}", "Name another domain with --to.")
    if not host:
        return warn("port 25", f"{domain} takes no mail (null MX)", "Name another domain with --to.")
    return _greeting("port 25", host, conf.mx_port, is_tls=False)


def _greeting(name: str, host: str, port: int, is_tls: bool) -> Finding:
    try:
        with socket.create_connection((host, port), _CONNECT_WITHIN) as connection:
            if is_tls:
                return ok(name, f"{host}:{port} is reachable")
            connection.settimeout(_CONNECT_WITHIN)
            greeting = connection.recv(512).decode(errors="replace").strip()
    except OSError as error:
        advice = "Many networks block port 25 outwards: ask the provider, or set MAILWEIR_ROUTE to a relay."
        return fail(name, f"{host}:{port} is not reachable ({error})", advice)
    first = "".join(char for char in greeting.partition("\n")[0][:80] if char.isprintable())
    if not greeting.startswith("220"):
        return warn(
            name, f"{host}:{port} greets with {first!r}", "Its operator may say why (blocklist, PTR)."
        )
    return ok(name, f"{host}:{port} greets: {first}")
