"""Telling a registry who we are when it asks.

Source: RFC 7617, and the token specifications of the CNCF distribution (``spec/auth/token``, ``spec/auth/oauth``).
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.registry.faults import refused, translated

if TYPE_CHECKING:
    from dxf import DXF
    from requests import Response

_WHAT = "a token"
_SCOPE = re.compile(r'scope="repository:[^" ]*:([a-z,*]+)"')


def authorization(
    dxf: DXF,
    challenge: Response,
    *,
    host: str,
    plain: bool,
    credential: Credential | None,
    timeout: float,
    writing: bool = False,
) -> dict[str, str]:
    """The headers that answer a registry's 401, with a token where it wants one.

    Args:
        dxf: python-dxf's client of the repository.
        challenge: the registry's answer.
        host: of the registry, as users write it.
        plain: whether plain HTTP is spoken with it: it is on this machine, or `insecure` names it.
        credential: for the registry; None for an anonymous token.
        timeout: seconds without an answer.
        writing: to ask for leave to push too where leave to pull is wanted: one token then does for all of a push.

    Raises:
        RegistryError: it asks for something that we have not, or its token service refuses.
    """
    from dxf.exceptions import DXFAuthInsecureError, DXFUnauthorizedError
    from requests import HTTPError

    with translated(host, _WHAT, timeout):
        try:
            scheme, _, wanted = challenge.headers["WWW-Authenticate"].partition(" ")
            if scheme.lower() not in {"basic", "bearer"}:
                raise ValueError(scheme)
            if credential and credential.identity_token and scheme.lower() == "bearer":
                if plain:  # anybody on the way may have named the realm that the identity token would go to
                    raise DXFAuthInsecureError
                # python-dxf knows of no identity tokens.
                token = _exchanged(dxf._sessions[0], wanted, host, credential, timeout, writing=writing)
                return {"Authorization": f"Bearer {token}"}
            if credential and plain and scheme.lower() == "basic":
                # Over plain HTTP python-dxf sends credentials to nobody; engines send them where plain HTTP is allowed.
                pair = f"{credential.username}:{credential.secret}".encode()
                return {"Authorization": f"Basic {b64encode(pair).decode()}"}
            if not credential and scheme.lower() == "basic":
                return {}
            name = credential.username if credential else None
            secret = credential.secret if credential else None
            dxf.authenticate(name, secret, actions=_actions(wanted, writing=writing), response=challenge)
            return dict(dxf._headers)
        except DXFUnauthorizedError:
            raise _no_token(host, credential) from None
        except HTTPError as error:
            raise refused(error.response, host, _WHAT, credential) from error
        except DXFAuthInsecureError:
            raise RegistryError(
                f"{host} wants tokens over plain HTTP, which others could read", host=host, hint="Give it TLS."
            ) from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise RegistryError(
                f"{host} asks for credentials in a way that cannot be understood", host=host, hint="Is this a registry?"
            ) from error


def _actions(challenge: str, *, writing: bool) -> list[str]:
    """What is asked for in place of what a registry wants; none where that is asked for.

    Who pushes reads first, and is to push with the same token. Leave to delete is wanted alone, and who deletes reads
    before and after: with two tokens each request would be refused first.
    """
    match = _SCOPE.search(challenge)
    actions = match[1].split(",") if match else []
    if writing and actions == ["pull"]:
        return ["pull", "push"]
    return ["pull", *actions] if "delete" in actions and "pull" not in actions else []


def _exchanged(
    session: Any, challenge: str, host: str, credential: Credential, timeout: float, *, writing: bool
) -> str:
    """The access token that an identity token is exchanged for."""
    from urllib.request import parse_http_list, parse_keqv_list

    wanted = parse_keqv_list(parse_http_list(challenge))
    match = _SCOPE.search(challenge)
    named = match[1].split(",") if match else []
    more = [action for action in _actions(challenge, writing=writing) if action not in named]
    realm, scope = wanted["realm"], wanted.get("scope", "")
    if not realm.startswith("https://"):
        raise RegistryError(f"{host} has its tokens made over plain HTTP, which others could read", host=host)
    form = {
        "grant_type": "refresh_token",
        "service": wanted.get("service", ""),
        "scope": ",".join([scope, *more]),
        "client_id": "tinyship",
        "refresh_token": credential.secret,
    }
    response = session.post(realm, data=form, timeout=timeout, allow_redirects=False)
    if response.status_code in {400, 401, 403}:  # 400 is OAuth's `invalid_grant`
        raise _no_token(host, credential)
    response.raise_for_status()
    answer = response.json()
    return str(answer.get("access_token") or answer["token"])


def _no_token(host: str, credential: Credential | None) -> RegistryError:
    whose = f"the credentials from {credential.source}" if credential else "no credentials"
    return RegistryError(
        f"{host} refused to give a token for {whose}",
        host=host,
        hint=f"`docker login {host}` stores credentials; is the password still right?",
    )
