"""Greeter is a small web service: / greets whom it is told, /version says what it is, /healthz that it works."""

import os
import signal
import sys
from http.client import HTTPConnection

PORT = 8080


def main() -> None:
    """Serve until told to stop, or ask a server that runs here whether it works."""
    if "--healthcheck" in sys.argv:
        sys.exit(_healthcheck())
    import waitress

    # The first process of a container gets no signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waitress.serve(application(), host="0.0.0.0", port=PORT, threads=4)


def application():
    """The service as WSGI has it."""
    import bottle

    app = bottle.Bottle()

    @app.hook("after_request")
    def plain() -> None:
        bottle.response.headers.setdefault("Content-Type", "text/plain; charset=utf-8")

    @app.get("/")
    def greet() -> str:
        return f"Hello, {bottle.request.query.name or 'world'}.\n"

    @app.get("/version")
    def version() -> dict[str, str]:
        return {"version": os.environ.get("VERSION", "unknown")}

    @app.get("/healthz")
    def healthz() -> str:
        return "ok\n"

    return app


def _healthcheck() -> int:
    """For HEALTHCHECK: the image holds no shell and no curl. It imports no framework, to be quick."""
    connection = HTTPConnection("127.0.0.1", PORT, timeout=5)
    connection.request("GET", "/healthz")
    return 0 if connection.getresponse().status == 200 else 1


if __name__ == "__main__":
    main()
