"""Entity tags (DSP0266 7.4): what a resource is, without what it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson


def etag(body: Mapping[str, Any], volatile: frozenset[str] = frozenset()) -> str:
    """A weak entity tag over everything but the readings."""
    stable = {key: value for key, value in body.items() if key not in volatile}
    digest = hashlib.blake2b(orjson.dumps(stable, option=orjson.OPT_SORT_KEYS), digest_size=8)
    return f'W/"{digest.hexdigest()}"'
