"""The plant's one exception tree; the base is never raised itself.

    PlantError
    ├── FacilityError  a facility file is wrong; names file, place and reason
    ├── StateError     the state directory holds something unusable
    ├── ControlError   the plant refused a request on its control socket, or does not answer
    └── FaultError     there is no such fault, or nothing here that could have it

Bad arguments of a Python call are ValueError.
"""

from __future__ import annotations


class PlantError(Exception):
    """Root of all errors that the plant raises on purpose."""


class FacilityError(PlantError):
    """A facility file that cannot be read or used; the text names file, place and reason."""


class StateError(PlantError):
    """What an earlier run left in the state directory cannot be used."""


class ControlError(PlantError):
    """A request that the plant refused, or a plant that does not answer."""


class FaultError(PlantError):
    """A fault that there is not, or that nothing here can have; the text says what there is."""
