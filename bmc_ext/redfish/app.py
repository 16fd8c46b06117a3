"""The Flask application: every request that the front does not answer itself."""

from __future__ import annotations

import flask
from werkzeug.datastructures import EnvironHeaders

from bmc_ext.redfish.context import Request
from bmc_ext.redfish.dispatch import Dispatcher

METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]


def create_app(dispatcher: Dispatcher) -> flask.Flask:
    """A WSGI application over the registry; identity and correlation come from the front's environ."""
    app = flask.Flask("dcpi-bmc", static_folder=None)

    def view(path: str = "") -> flask.Response:
        del path  # the front's normal form of it is in the environ
        status, headers, body = dispatcher.answer(_request(flask.request))
        return flask.Response(body, status, headers)

    app.add_url_rule("/", "root", view, methods=METHODS, provide_automatic_options=False)
    app.add_url_rule("/<path:path>", "all", view, methods=METHODS, provide_automatic_options=False)
    return app


def _request(incoming: flask.Request) -> Request:
    environ = incoming.environ
    return Request(
        method=incoming.method,
        path=incoming.path,
        query=incoming.args.to_dict(),
        headers={name.lower(): value for name, value in EnvironHeaders(environ)},
        body=incoming.get_data(),
        identity=environ.get("dcpi.identity"),
        correlation_id=environ["dcpi.correlation_id"],
        raw_query=incoming.query_string.decode("latin-1"),
    )
