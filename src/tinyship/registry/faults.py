"""The one place where what goes wrong between us and a registry becomes a RegistryError.

Source: the error codes of the OCI distribution specification.
"""

from __future__ import annotations

import errno
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tinyship.codes import without_codes
from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.registry.retry import TEMPORARY, asked_wait
from tinyship.registry.transport import origin
from tinyship.running import cancelling

if TYPE_CHECKING:
    from requests import Response

_READ = 1 << 16
_ENOSPC = '"err": 28'
"""How a storage driver of the CNCF distribution writes that its disk is full."""
_FULL = ("no space left", "disk full", "quota")
_BROKEN = {"MANIFEST_BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "SIZE_INVALID", "DIGEST_INVALID", "MANIFEST_INVALID"}
_CERTIFICATES = "`ca`, or the variable REQUESTS_CA_BUNDLE, names a file with the certificates that are to be trusted."
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
"""How Python's ``http.client`` says what a proxy answered to CONNECT."""
_HOUR = 3600
_LONGEST = 400 * 24 * _HOUR
_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}


@contextmanager
def translated(host: str, what: str, timeout: float) -> Iterator[None]:
    """Turn what requests and urllib3 raise into RegistryError.

    Args:
        host: of the registry, as users write it.
        what: was asked for: "the manifest of lacion/foo:1.0".
        timeout: seconds that an answer was waited for.
    """
    import requests
    import urllib3.exceptions as urllib

    try:
        with cancelling.current().telling():
            yield
    except requests.ConnectTimeout as error:
        # TCP has tried again for as long by itself.
        raise RegistryError(
            f"{_where(host, error)} cannot be reached: no connection came about",
            host=host,
            hint="Is the network up, or is a proxy needed?",
        ) from error
    except (requests.Timeout, urllib.TimeoutError, TimeoutError) as error:
        where = _where(host, error)
        raise RegistryError(
            f"{where} does not answer: nothing came for {timeout:g} s, asking for {what}",
            host=host,
            hint="Try again.",
            temporary=True,
        ) from error
    except (requests.exceptions.SSLError, urllib.SSLError) as error:
        raise _tls(error, host, what) from error
    except requests.exceptions.ProxyError as error:
        raise _proxy(error, host) from error
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise RegistryError(
            f"{host} leads to an address that is not followed, asking for {what}",
            host=host,
            hint="Only `https` is followed; plain `http` stays on this machine.",
        ) from error
    except requests.TooManyRedirects as error:
        raise RegistryError(f"{host} leads in circles, asking for {what}", host=host) from error
    except (requests.RequestException, urllib.HTTPError, OSError) as error:
        raise _connection(error, host, what) from error


def refused(
    response: Response, host: str, what: str, credential: Credential | None, *, writing: bool = False
) -> RegistryError:
    """The error that an answer is which is not the one that was hoped for.

    Args:
        response: not read yet.
        host: of the registry, as users write it.
        what: was asked for.
        credential: that was sent to the registry; None where there is none.
        writing: whether something was to be changed there.
    """
    code, words = _reason(response)
    said = f": {words}" if words else ""
    status = response.status_code
    where = _elsewhere(host, response.url)
    if status in {401, 403} or code == "DENIED":
        sent = credential if where == host else None
        whose = f"the credentials from {sent.source}" if sent else "no credentials"
        may = "may they push to this repository?" if writing else "does the repository exist, and may they read it?"
        return RegistryError(
            f"{where} refused {what} with {whose} (status {status}){said}",
            host=host,
            status=status,
            hint=f"`docker login {host}` stores credentials; {may}",
        )
    if status == 404 and not writing:
        why = ": there is no such repository" if code == "NAME_UNKNOWN" else ""
        return RegistryError(
            f"{where} does not have {what}{why}",
            host=host,
            status=status,
            hint="Was it pushed, and under this name?",
        )
    if status == 405 or code == "UNSUPPORTED":
        return RegistryError(
            f"{where} does not do this (status {status}): {what}{said}",
            host=host,
            status=status,
            hint="Many registries delete only where that is turned on, and some only in their own pages.",
        )
    if status == 429:
        asked = str(response.headers.get("Retry-After", ""))
        wait = asked_wait(asked)
        more = "" if credential else f" `docker login {host}` may raise the limit."
        return RegistryError(
            f"{where} was asked too often (status 429), asking for {what}{said}",
            host=host,
            status=status,
            temporary=True,
            wait=wait,
            hint=f"Try again {_when(wait)}.{more}",
        )
    if code == "NAME_UNKNOWN":
        return RegistryError(
            f"{where} has no such repository (status {status}), asking for {what}{said}",
            host=host,
            status=status,
            hint="Is the name right? Some registries want a repository to be made there before the first push.",
        )
    full = status >= 500 and any(sign in words.lower() for sign in _FULL)
    if full or status == 507:
        return RegistryError(
            f"{where} has no room left (status {status}), asking for {what}{said}",
            host=host,
            status=status,
            hint="Its disk is full: make room there, and push again.",
        )
    out_of_order = status >= 500 and status != 501  # what is no registry says of a POST that it is not implemented
    hint = "The fault is the registry's: try again later." if out_of_order else "Is this a registry?"
    if code == "NAME_INVALID":
        hint = "This registry has rules of its own for the names of repositories: `image` and `push.to` make ours."
    elif status == 413:
        hint = (
            "It, or a proxy before it, has a limit on what is sent at once (nginx: `client_max_body_size`): raise it."
        )
    elif code in _BROKEN:
        hint = "What it has is not what it was given: push again; does a proxy on the way change data?"
    return RegistryError(
        f"{where} answered with status {status}, asking for {what}{said}",
        host=host,
        status=status,
        temporary=status in TEMPORARY,
        wait=asked_wait(str(response.headers.get("Retry-After", ""))) if status == 503 else 0.0,
        hint=hint,
    )


def _when(wait: float) -> str:
    """When to try again, after the seconds that a registry asks for; what is past all sense is not told."""
    if not 0 < wait < _LONGEST:
        return "later"
    if wait <= 2 * _HOUR:
        return f"in {wait:.0f} s"
    hours = wait / _HOUR
    return f"in {hours:.0f} hours" if hours < 48 else f"in {hours / 24:.0f} days"


def _reason(response: Response) -> tuple[str, str]:
    """The code and the words of the first error that a registry lists, or what it says as plain text; empty for none.

    What a storage driver says stands in ``detail``, in any form.
    """
    import requests
    import urllib3.exceptions as urllib

    body = b""
    try:
        body = response.raw.read(_READ, decode_content=True)
        listed = json.loads(body)["errors"][0]
        words = str(listed.get("message") or "")
        detail = json.dumps(listed.get("detail")).lower()
        if _ENOSPC in detail or any(sign in detail for sign in _FULL):
            words = f"{words} (no space left)"
        return str(listed.get("code") or ""), _line(words)
    except (requests.RequestException, urllib.HTTPError, OSError):
        return "", ""
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", _line(_plain(body, str(response.headers.get("Content-Type") or "")))


def _plain(body: bytes, media_type: str) -> str:
    """What an answer says that lists no errors: the first line of a text, and of what is none only that a disk is full.

    Args:
        media_type: that it says of itself.
    """
    text = body.decode(errors="replace")
    if media_type.lower().startswith("text/plain"):
        return next((line for line in text.splitlines() if line.strip()), "")
    return _FULL[0] if _FULL[0] in text.lower() else ""


def _line(words: str) -> str:
    return " ".join(without_codes(words).split())[:200]


def _tls(error: Exception, host: str, what: str) -> RegistryError:
    reason = str(error)
    where = _where(host, error)
    if is_hang_up(error):
        return RegistryError(
            f"the connection to {where} broke (TLS had no end), asking for {what}",
            host=host,
            hint="Try again; where it stays so, what listens there may speak no TLS that this machine takes.",
            temporary=True,
        )
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason:
        return RegistryError(
            f"{where} does not speak TLS",
            host=host,
            hint="Plain HTTP is spoken with registries of this machine, and with those that `insecure` names.",
        )
    if "certificate verify failed" in reason or "CertificateError" in reason or "doesn't match" in reason:
        why = reason.partition("certificate verify failed: ")[2].partition(" (_ssl.c")[0]
        return RegistryError(
            f"the certificate of {where} is not trusted{f': {why}' if why else ''}", host=host, hint=_CERTIFICATES
        )
    return RegistryError(f"TLS with {where} failed", host=host, hint=_CERTIFICATES)


def _proxy(error: Exception, host: str) -> RegistryError:
    """A proxy's failure; what it says of a tunnel, or a connection that it ended, may be over in a moment."""
    causes = list(_causes(error))
    said = next((found for cause in causes if (found := _TUNNEL.search(str(cause)))), None)
    ended = any(isinstance(cause, ConnectionResetError) for cause in causes)
    return RegistryError(
        f"the proxy on the way to {_where(host, error)} does not work{f' (status {said[1]})' if said else ''}",
        host=host,
        hint="`proxy` or HTTPS_PROXY names it, `no_proxy` or NO_PROXY the hosts that need none.",
        temporary=int(said[1]) in TEMPORARY if said else ended,
    )


def _connection(error: Exception, host: str, what: str) -> RegistryError:
    """A connection's failure in words: the innermost cause says it best."""
    where = _where(host, error)
    causes = list(_causes(error))
    if any("NameResolutionError" in type(cause).__name__ or "gaierror" in type(cause).__name__ for cause in causes):
        if any(isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN for cause in causes):
            return RegistryError(
                f"the host {where} cannot be looked up: no name server answers", host=host, hint="Is the network up?"
            )
        return RegistryError(f"the host {where} is not known", host=host, hint="Is its name right, and the network up?")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return RegistryError(f"nothing listens at {where}", host=host, hint="Is the registry running?")
    if any(isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected) for cause in causes):
        return RegistryError(f"{where} does not speak HTTP", host=host, hint="Is this a registry?")
    if any(isinstance(cause, OSError) and cause.errno in _NO_WAY for cause in causes):
        return RegistryError(f"there is no way to {where}", host=host, hint="Is the network up, or is a proxy needed?")
    if any("CA certificate bundle" in str(cause) for cause in causes):
        return RegistryError(
            f"the certificates that REQUESTS_CA_BUNDLE names cannot be read, asking {where}",
            host=host,
            hint="It is the path of a PEM file, or of a folder of certificates.",
        )
    strerror = next((cause.strerror for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), "")
    why = f" ({strerror})" if strerror else ""
    return RegistryError(
        f"the connection to {where} broke{why}, asking for {what}", host=host, hint="Try again.", temporary=True
    )


def altered(host: str, what: str, wanted: str, found: str, *, sent: bool = False) -> RegistryError:
    """The error that other bytes are than those that were meant.

    Args:
        host: of the registry, as users write it.
        what: was asked for, or sent.
        wanted: its digest.
        found: the digest of what came, or of what the registry says that it got.
        sent: whether it was sent.
    """
    return RegistryError(
        f"{host} {'got' if sent else 'gave'} something else for {what}: its digest is {found}, not {wanted}",
        host=host,
        hint="Try again; where it stays so, the registry or a proxy before it alters or breaks data.",
    )


def is_hang_up(error: BaseException) -> bool:
    """Whether the other end closed the connection in place of an answer."""
    import ssl

    ended = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return any(isinstance(cause, ended) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that led to it, as requests and urllib3 wrap them."""
    following: BaseException | None = error
    seen: set[int] = set()
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        reason = getattr(following, "reason", None) or next(iter(following.args), None)
        nested = reason if isinstance(reason, BaseException) else None
        following = nested or following.__cause__ or following.__context__


def _where(host: str, error: Exception) -> str:
    return _elsewhere(host, str(getattr(getattr(error, "request", None), "url", "") or ""))


def _elsewhere(host: str, url: str) -> str:
    """The registry, or the other host that it led to."""
    found = urlsplit(url).netloc.rpartition("@")[2]
    scheme = "http" if url.startswith("http:") else "https"
    if not found or origin(url) == origin(f"{scheme}://{host}") or found.endswith(".docker.io"):
        return host
    return f"{found} (where {host} leads)"
