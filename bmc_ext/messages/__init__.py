"""DCPI messages: strict JSON, validation against the published schemas, and the header."""
