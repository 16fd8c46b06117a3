"""Images of the emulated BMC: a head that names the version and the digest of what follows.

DCPI-EMULATOR-IMAGE
Version: 2.1.0
SHA256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

(an empty line, then the payload)
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from bmc_ext.redfish.firmware import ImageError

MAGIC: Final = b"DCPI-EMULATOR-IMAGE"

_HEAD = re.compile(
    re.escape(MAGIC) + rb"\r?\nVersion: ([0-9A-Za-z.+-]{1,32})\r?\nSHA256: ([0-9a-f]{64})\r?\n\r?\n"
)


def version_of(image: bytes) -> str:
    """The version of a whole image; ImageError saying what is wrong."""
    head = _HEAD.match(image)
    if head is None:
        raise ImageError("this is no image of the emulated BMC: its head is another")
    if hashlib.sha256(image[head.end() :]).hexdigest().encode() != head[2]:
        raise ImageError("the image is damaged: its digest is not the one in its head")
    return head[1].decode()
