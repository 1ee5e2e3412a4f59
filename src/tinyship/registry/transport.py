"""The way to registries: proxies, certificates, and with whom plain HTTP is spoken.

Source: the OCI distribution specification; which hosts engines take plain HTTP from without being told to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Network:
    """What is particular about the network that registries are reached through.

    Args:
        ca: the path of a PEM file of certificates that are trusted beside the system's; empty where there is none.
        insecure: hosts, ``host[:port]``, that plain HTTP is spoken with; this machine's need not be named.
        proxy: the address of the proxy; that of the environment where empty.
        no_proxy: hosts, domains and networks that need no proxy; those of the environment where empty.
        mirrors: of registries, by their host: ``host[:port][/path]`` of what is asked first, by those who only read.
    """

    ca: str = ""
    insecure: tuple[str, ...] = ()
    proxy: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()
    mirrors: Mapping[str, str] = field(default_factory=dict)

    def speaks_http(self, host: str) -> bool:
        """Whether plain HTTP is spoken with a host, and credentials may go there all the same."""
        return is_loopback(host) or host.lower() in {one.lower() for one in self.insecure}


DIRECT = Network()
"""Nothing in particular: what the environment says of proxies and certificates is followed."""


def is_loopback(host: str) -> bool:
    """Whether an engine would take plain HTTP from this host without being told to."""
    return host.partition(":")[0] in LOOPBACK or host.startswith("[::1]")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address, to compare: without case, and with the port that goes without saying.

    Source: RFC 3986, section 6.2.3.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1  # none that anything listens at
    usual = {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, parts.hostname or "", usual if port is None else port


def passes_by(host: str, no_proxy: Iterable[str]) -> bool:
    """Whether a host needs no proxy.

    Args:
        host: ``host[:port]``.
        no_proxy: hosts with all that is below them, addresses, networks (``10.0.0.0/8``), each with a port or for all
            ports; ``*`` for everything.

    Source: what curl, Go and Python agree on of ``NO_PROXY``.
    """
    name, port = _parted(host)
    for entry in no_proxy:
        text = entry.strip().lower()
        if text == "*":
            return True
        if "/" in text:
            if _is_in(name, text):
                return True
            continue
        wanted, wanted_port = _parted(text)
        wanted = wanted.removeprefix("*").lstrip(".")
        if wanted and wanted_port in {"", port} and (name == wanted or name.endswith(f".{wanted}")):
            return True
    return False


def prepare(session: Any, host: str, network: Network) -> None:
    """Let a session of requests go the way of this network, and send plain HTTP nowhere else than to this host.

    Raises:
        OSError: the certificates cannot be read.
    """
    session.auth = lambda request: request  # or requests would put what is in ~/.netrc in place of our header
    session.adapters.pop("http://")
    adapter = _adapter(network)
    session.mount("https://", adapter)
    plain = (host,) if network.speaks_http(host) and not is_loopback(host) else LOOPBACK
    for name in plain:
        for end in ("/",) if ":" in name.rpartition("]")[2] else (":", "/"):
            session.mount(f"http://{name}{end}", adapter)


def _adapter(network: Network) -> Any:
    """What sends requests by this network's way: each address has its own, wherever a registry leads."""
    from requests.adapters import HTTPAdapter

    context = _trusting(network.ca) if network.ca else None
    trusted = {"ssl_context": context} if context else {}

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
            super().init_poolmanager(connections, maxsize, block, **more, **trusted)

        def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
            through = {"proxy_ssl_context": context} if context and proxy.lower().startswith("https") else {}
            return super().proxy_manager_for(proxy, **more, **trusted, **through)

        def build_connection_pool_key_attributes(self, *words: Any, **more: Any) -> tuple[Any, Any]:
            host, pool = super().build_connection_pool_key_attributes(*words, **more)
            return host, {**pool, **trusted}  # requests 2.32.2 has a context of its own here

        def send(
            self,
            request: Any,
            stream: bool = False,
            timeout: Any = None,
            verify: bool | str = True,
            cert: Any = None,
            proxies: Any = None,
        ) -> Any:
            way = _proxies(network, str(request.url), proxies or {})
            return super().send(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=way)

    return Adapter()


def _proxies(network: Network, url: str, said: Mapping[str, str]) -> dict[str, str]:
    """The proxies for an address, by its scheme; each of the two settings stands in place of its variable.

    Args:
        said: what requests found in the environment, for this address.
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    if is_loopback(host):  # what stays on this machine needs no proxy
        return {}
    if passes_by(host, network.no_proxy or _variable("no_proxy").split(",")):
        return {}
    if network.proxy:
        return {"http": network.proxy, "https": network.proxy}
    return _of_environment() if network.no_proxy else dict(said)


def _of_environment() -> dict[str, str]:
    """The proxies that the environment names, by the scheme that they are for."""
    from urllib.request import getproxies

    return {scheme: address for scheme, address in getproxies().items() if scheme != "no"}


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _trusting(file: str) -> Any:
    """A context that trusts the certificates of a file beside the system's; requests adds those that it trusts."""
    import ssl

    context = ssl.create_default_context()
    context.load_verify_locations(cafile=file)
    return context


def _parted(host: str) -> tuple[str, str]:
    """Name or address, and port, of ``host[:port]``; an IPv6 address has brackets where it has a port."""
    text = host.lower()
    if text.startswith("["):
        name, _, port = text[1:].partition("]")
        return name, port.removeprefix(":")
    name, colon, port = text.partition(":")
    return (name, port) if colon and ":" not in port else (text, "")


def _is_in(name: str, network: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
