"""The ASGI front: TLS, authentication, bounded bodies, streams, the bridge to WSGI."""
