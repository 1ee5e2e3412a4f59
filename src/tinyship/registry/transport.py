"""The way to registries: proxies, certificates, and with whom plain HTTP is spoken.

Source: the OCI distribution specification; which hosts engines take plain HTTP from without being told to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Network:
    """What is particular about the network that registries are reached through.

    Args:
        ca: the path of a PEM file of certificates that are trusted beside the system's; empty where there is none.
        insecure: hosts, ``host[:port]``, that plain HTTP is spoken with; this machine's need not be named.
        proxy: the address of the proxy; that of the environment where empty.
        no_proxy: hosts, domains and networks that need no proxy, where ``proxy`` is set.
        mirrors: of registries, by their host: ``host[:port][/path]`` of what is asked first, by those who only read.
    """

    ca: str = ""
    insecure: tuple[str, ...] = ()
    proxy: str = ""
    no_proxy: tuple[str, ...] = ()
    mirrors: Mapping[str, str] | None = None

    def speaks_http(self, host: str) -> bool:
        """Whether plain HTTP is spoken with a host, and credentials may go there all the same."""
        return is_loopback(host) or host.lower() in {one.lower() for one in self.insecure}


DIRECT = Network()
"""Nothing in particular: what the environment says of proxies and certificates is followed."""


def is_loopback(host: str) -> bool:
    """Whether an engine would take plain HTTP from this host without being told to."""
    return host.partition(":")[0] in LOOPBACK or host.startswith("[::1]")


def prepare(session: Any, host: str, network: Network) -> None:
    """Let a session of requests go the way of this network, and send plain HTTP nowhere else than to this host.

    Raises:
        OSError: the certificates cannot be read.
    """
    from requests.adapters import HTTPAdapter
    from requests.utils import should_bypass_proxies

    session.auth = lambda request: request  # or requests would put what is in ~/.netrc in place of our header
    local = is_loopback(host)
    session.trust_env = not local  # nor does what stays on this machine go through a proxy
    session.adapters.pop("http://")
    plain = LOOPBACK if local else (host,) if network.speaks_http(host) else LOOPBACK
    for name in plain:
        for end in ("/",) if ":" in name.rpartition("]")[2] else (":", "/"):
            session.mount(f"http://{name}{end}", HTTPAdapter())
    if network.ca:
        session.mount("https://", _trusting(network.ca))
    if network.proxy and not local:
        # What the environment says of proxies would come before what the settings say.
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        if not should_bypass_proxies(f"https://{host}/", no_proxy=",".join(network.no_proxy)):
            session.proxies = {"http": network.proxy, "https": network.proxy}


def _trusting(file: str) -> Any:
    """An adapter that trusts the certificates of a file beside those that requests trusts."""
    import ssl

    from requests.adapters import HTTPAdapter

    context = ssl.create_default_context()
    context.load_verify_locations(cafile=file)

    class Trusting(HTTPAdapter):
        def init_poolmanager(self, *words: Any, **more: Any) -> None:
            super().init_poolmanager(*words, ssl_context=context, **more)

        def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=context, **more)

        def build_connection_pool_key_attributes(
            self, request: Any, verify: bool | str, cert: Any = None
        ) -> tuple[Any, Any]:
            host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
            pool["ssl_context"] = _context(context)
            return host, pool

    return Trusting()


def _context(context: ssl.SSLContext) -> ssl.SSLContext:
    return context
