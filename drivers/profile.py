"""Device profiles: what a device's registers mean, from one YAML file each.

Shipped profiles are `devices/*.yaml`; a configured folder may hold more. The one file drives
batching, the driver, the simulator and the checks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType

from drivers import profile_parts, profile_rules
from drivers.errors import ProfileError
from drivers.profile_document import ProfileDocument, read_text
from drivers.profile_types import (
    Accuracy,
    Check,
    Condition,
    Golden,
    Group,
    Point,
    Profile,
    Source,
    TextCondition,
    Transport,
    WriteRule,
)

__all__ = [
    "SHIPPED_DIRECTORY",
    "Accuracy",
    "Check",
    "Condition",
    "Golden",
    "Group",
    "Point",
    "Profile",
    "Source",
    "TextCondition",
    "Transport",
    "WriteRule",
    "list_profiles",
    "load_profile",
]

SHIPPED_DIRECTORY = Path(__file__).parent / "devices"


def load_profile(name_or_path: str | Path, dirs: Iterable[str | Path] = ()) -> Profile:
    """The profile with that id, from `dirs` first and then the shipped ones, or a file.

    An argument that ends in .yaml or .yml is a path. Raises ProfileError, which names file, line
    and reason, or the profiles that there are.
    """
    if str(name_or_path).endswith((".yaml", ".yml")):
        return _load(Path(name_or_path))
    folders = [Path(folder) for folder in dirs]
    for path in _files(folders):
        # A vendor's broken file must not hide the profile that was asked for.
        if _identity(path) == name_or_path:
            return _load(path)
    known = ", ".join(dict.fromkeys(_identity(path) for path in _files(folders)))
    raise ProfileError(f"no device profile {str(name_or_path)!r}; there are: {known}")


def list_profiles(dirs: Iterable[str | Path] = ()) -> list[Profile]:
    """All profiles of `dirs` and the shipped ones, by id; the first of an id counts.

    Raises ProfileError at the first file that is wrong.
    """
    found: dict[str, Profile] = {}
    for path in _files([Path(folder) for folder in dirs]):
        profile = _load(path)
        found.setdefault(profile.id, profile)
    return [found[identity] for identity in sorted(found)]


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in (*folders, SHIPPED_DIRECTORY):
        if not folder.is_dir():
            raise ProfileError(f"{folder}: no such folder of device profiles")
        found = sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))
        yield from (path for path in found if path.is_file())


def _identity(path: Path) -> str:
    """The id that a file declares, read without judging the rest of it."""
    return _declared_identity(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=512)
def _declared_identity(path: Path, changed_ns: int) -> str:  # noqa: ARG001  (part of the cache's key)
    try:
        lines = read_text(path).splitlines()
    except ProfileError:
        return path.stem
    declared = [line.removeprefix("id:") for line in lines if line.startswith("id:")]
    return declared[0].split("#")[0].strip(" \"'") if declared else path.stem


def _load(path: Path) -> Profile:
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    return _load_version(path, changed_ns)


@functools.lru_cache(maxsize=512)
def _load_version(path: Path, changed_ns: int) -> Profile:  # noqa: ARG001  (part of the cache's key)
    document = ProfileDocument(path)
    content = document.content
    groups = {name: profile_parts.group(name, entry) for name, entry in content["groups"].items()}
    points = {name: profile_parts.point(name, document) for name in content["points"]}
    profile = Profile(
        id=content["id"],
        vendor=content["vendor"],
        model=content["model"],
        kind=content["kind"],
        path=path,
        description=content.get("description", ""),
        protocol=content.get("protocol", "modbus"),
        sources=profile_parts.sources(content),
        transport=profile_parts.transport(content["transport"]),
        groups=MappingProxyType(groups),
        points=MappingProxyType(points),
        identify=profile_parts.conditions(content),
        identify_texts=profile_parts.text_conditions(content),
        checks=tuple(
            profile_parts.check(k, document) for k in range(len(content.get("checks", [])))
        ),
        golden=tuple(profile_parts.golden(entry) for entry in content.get("golden", [])),
        simulation=MappingProxyType(content.get("sim", {})),
    )
    profile_rules.enforce(profile, document)
    return profile
