"""The Flask application: every request that the front does not answer itself."""

from __future__ import annotations

import flask
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import HTTPException

from bmc_ext.redfish.context import Request
from bmc_ext.redfish.dispatch import Dispatcher

METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]


def create_app(dispatcher: Dispatcher) -> flask.Flask:
    """A WSGI application over the registry; identity and correlation are in the environ."""
    app = flask.Flask("dcpi-bmc", static_folder=None)
    app.url_map.merge_slashes = False

    def view(path: object = "") -> flask.Response:
        del path  # a path or Werkzeug's own error: either way the registry answers
        status, headers, body = dispatcher.answer(_request(flask.request))
        return flask.Response(body, status, headers)

    for rule in ("/", "/<path:path>"):
        app.add_url_rule(rule, rule, view, methods=METHODS, provide_automatic_options=False)
    app.register_error_handler(HTTPException, view)
    return app


def _request(incoming: flask.Request) -> Request:
    environ = incoming.environ
    return Request(
        method=incoming.method,
        path=environ["PATH_INFO"],  # Werkzeug would make one slash of several at its start
        query=incoming.args.to_dict(),
        headers={name.lower(): value for name, value in EnvironHeaders(environ)},
        body=incoming.get_data(),
        identity=environ.get("dcpi.identity"),
        correlation_id=environ["dcpi.correlation_id"],
        raw_query=incoming.query_string.decode("latin-1"),
        client=environ["REMOTE_ADDR"],
    )
