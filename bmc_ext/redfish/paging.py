"""Collections too long to be answered whole: pages of Members that are read only when shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, overload
from urllib.parse import urlencode

from bmc_ext.redfish.context import Request
from bmc_ext.redfish.errors import RedfishError

PAGE: Final = 100
"""Members of an answer to a request that asks for no number of them."""

Body = dict[str, Any]


class Pages(Sequence[Body]):
    """`count` members of which `read(skip, limit)` brings a stretch."""

    def __init__(self, count: int, read: Callable[[int, int], list[Body]]) -> None:
        self._count = count
        self._read = read

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Body: ...

    @overload
    def __getitem__(self, index: slice) -> list[Body]: ...

    def __getitem__(self, index: int | slice) -> Body | list[Body]:
        """One member, or a stretch without steps."""
        if isinstance(index, int):
            if not 0 <= index < self._count:
                raise IndexError(index)
            return self._read(index, 1)[0]
        start, stop, _ = index.indices(self._count)
        return self._read(start, stop - start) if stop > start else []


def paged(request: Request, uri: str, pages: Pages) -> Body:
    """Members, their number and the link to the next page, which is asked as this one is.

    DSP0266 7.4.3. A request with $skip, $top or $filter chooses by itself, so it is handed all of
    them.
    """
    query = request.query
    body: Body = {"Members": pages, "Members@odata.count": len(pages)}
    if "$top" in query or int(query.get("$skip", 0)) > 0:
        return body
    if "$filter" in query:
        return {**body, "Members": pages[:]}
    number = query.get("page", "1")
    if not (number.isdecimal() and len(number) < 9 and int(number) > 0):
        raise RedfishError(400, f"page: {number[:20]!r} is no number of a page")
    end = int(number) * PAGE
    body["Members"] = pages[end - PAGE : end]
    if end < len(pages):
        asked = {**query, "page": str(int(number) + 1)}
        body["Members@odata.nextLink"] = f"{uri}?{urlencode(asked, safe='$*.()=,')}"
    return body
