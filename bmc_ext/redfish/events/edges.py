"""When something turns bad or good for long enough to be told."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

FIRST_GOOD_S = 15.0
"""After a start it may take so long before something is good for the first time."""


class Edges:
    """Follows many conditions; each is bad after `bad_after_s`, good again after `good_after_s`.

    What has never been good is bad after `first_after_s` at the earliest: buses are read one by
    one. Not thread-safe; times are of one monotonic clock in s.
    """

    def __init__(
        self,
        bad_after_s: float = 1.0,
        good_after_s: float = 1.0,
        first_after_s: float = FIRST_GOOD_S,
    ) -> None:
        self._bad_after_s = bad_after_s
        self._first_after_s = first_after_s
        self._good_after_s = good_after_s
        self._is_bad: dict[Hashable, bool] = {}
        self._seen_good: set[Hashable] = set()
        self._other_since_s: dict[Hashable, float] = {}

    def follow(self, key: Hashable, bad: bool, now_s: float) -> bool | None:
        """True when it has just turned bad, False when it has just turned good, else None."""
        if not bad:
            self._seen_good.add(key)
        if self._is_bad.get(key, False) == bad:
            self._other_since_s.pop(key, None)
            return None
        since_s = self._other_since_s.setdefault(key, now_s)
        if now_s - since_s < self._needed_s(key, bad):
            return None
        del self._other_since_s[key]
        self._is_bad[key] = bad
        return bad

    def forget_all_but(self, keys: Iterable[Hashable]) -> None:
        """Drop what is gone for good, such as a device that was removed."""
        kept = set(keys)
        for gone in [key for key in self._is_bad if key not in kept]:
            del self._is_bad[gone]
        self._seen_good &= kept
        self._other_since_s = {k: v for k, v in self._other_since_s.items() if k in kept}

    def is_bad(self, key: Hashable) -> bool:
        """What was told of it last."""
        return self._is_bad.get(key, False)

    def _needed_s(self, key: Hashable, bad: bool) -> float:
        if not bad:
            return self._good_after_s
        return self._bad_after_s if key in self._seen_good else self._first_after_s
