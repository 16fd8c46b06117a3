"""Events about accounts and sessions: told to those who may read them, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from event_listener import EventListener, event_listener
from served_front import PASSWORD, Served, served

from bmc_ext.settings import Config, EventsConfig, FacilityConfig, ListenConfig

ACCOUNTS = "/redfish/v1/AccountService/Accounts"
SESSIONS = "/redfish/v1/SessionService/Sessions"
SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"
TEST = "/redfish/v1/EventService/Actions/EventService.SubmitTestEvent"
CREATED, CHANGED, REMOVED = "ResourceCreated", "ResourceChanged", "ResourceRemoved"


class Scene(NamedTuple):
    """A service with a listener for an administrator and one for an operator."""

    front: Served
    root: EventListener
    operator: EventListener

    def told(self, listener: EventListener, mark: str) -> list[tuple[str, str]]:
        """Message and URI of all events about people that came before the mark."""
        answer = self.front.ask("POST", TEST, {"MessageId": f"Test.1.0.{mark}"})
        assert answer.status == 204
        listener.wait_for(mark)
        return [
            (event["MessageId"].rpartition(".")[2], event["OriginOfCondition"]["@odata.id"])
            for event in listener.events
            if any(
                event.get("OriginOfCondition", {}).get("@odata.id", "").startswith(uri)
                for uri in (ACCOUNTS, SESSIONS)
            )
        ]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Both have subscribed to everything; two wrong passwords lock an account."""
    config = Config(
        facility=FacilityConfig("test-site", "Test", 1e6, 1e6),
        state_dir=tmp_path / "state",
        listen=ListenConfig(lockout_threshold=2),
        events=EventsConfig(allow_loopback=True),
    )
    with ExitStack() as held:
        front = held.enter_context(served(tmp_path / "state", config=config))
        front.service.accounts.create("opal", PASSWORD, "Operator")
        listeners = []
        for user in ("root", "opal"):
            listener = held.enter_context(event_listener(tmp_path / user))
            body = {"Destination": listener.url, "Protocol": "Redfish"}
            assert front.ask("POST", SUBSCRIPTIONS, body, user=user).status == 201
            listeners.append(listener)
        yield Scene(front, *listeners)


def test_who_manages_users_is_told_of_accounts_and_an_operator_of_the_own(scene: Scene) -> None:
    """Made, changed, locked, removed; of the operator's own account both are told."""
    front = scene.front
    new = {"UserName": "new", "Password": PASSWORD, "RoleId": "ReadOnly"}
    assert front.ask("POST", ACCOUNTS, new).status == 201
    assert front.ask("PATCH", f"{ACCOUNTS}/new", {"RoleId": "Operator"}).status == 200
    for _ in range(2):
        assert front.ask("GET", ACCOUNTS, user="new", password="wrong").status == 401
    assert front.ask("GET", f"{ACCOUNTS}/new").body["Locked"] is True
    assert front.ask("DELETE", f"{ACCOUNTS}/new").status == 204
    assert front.ask("PATCH", f"{ACCOUNTS}/opal", {"Password": "another-one"}).status == 200
    own = (CHANGED, f"{ACCOUNTS}/opal")
    of_new = [(key, f"{ACCOUNTS}/new") for key in (CREATED, CHANGED, CHANGED, REMOVED)]
    assert scene.told(scene.root, "A") == [*of_new, own]
    assert scene.told(scene.operator, "B") == [own]


def test_sessions_are_told_to_their_users_and_to_administrators(scene: Scene) -> None:
    """Opened and closed, by whatever closes them."""
    front = scene.front
    uris = {}
    for user in ("root", "opal"):
        login = {"UserName": user, "Password": PASSWORD}
        answer = front.ask("POST", SESSIONS, login, user=None)
        assert answer.status == 201
        uris[user] = answer.headers["location"]
    assert front.ask("DELETE", uris["root"]).status == 204
    assert front.ask("PATCH", f"{ACCOUNTS}/opal", {"Enabled": False}).status == 200
    opal = [(CREATED, uris["opal"]), (REMOVED, uris["opal"])]
    assert [one for one in scene.told(scene.root, "A") if SESSIONS in one[1]] == [
        (CREATED, uris["root"]), opal[0], (REMOVED, uris["root"]), opal[1],
    ]  # fmt: skip
    assert [one for one in scene.told(scene.operator, "B") if SESSIONS in one[1]] == opal


def test_who_loses_a_right_is_told_no_more(scene: Scene) -> None:
    """The rights count when it happens, not when the subscription was made."""
    front = scene.front
    assert front.ask("PATCH", f"{ACCOUNTS}/opal", {"RoleId": "Administrator"}).status == 200
    new = {"UserName": "new", "Password": PASSWORD, "RoleId": "ReadOnly"}
    assert front.ask("POST", ACCOUNTS, new).status == 201
    seen = [(CHANGED, f"{ACCOUNTS}/opal"), (CREATED, f"{ACCOUNTS}/new")]
    assert scene.told(scene.operator, "A") == seen
    assert front.ask("PATCH", f"{ACCOUNTS}/opal", {"RoleId": "Operator"}).status == 200
    assert front.ask("DELETE", f"{ACCOUNTS}/new").status == 204
    assert scene.told(scene.operator, "B") == [*seen, seen[0]]
    assert (REMOVED, f"{ACCOUNTS}/new") in scene.told(scene.root, "C")


def test_a_filter_shows_nobody_more(scene: Scene) -> None:
    """Naming an account in OriginResources does not make it readable."""
    front = scene.front
    one = {"Destination": scene.operator.url, "Protocol": "Redfish", "SubordinateResources": True,
           "OriginResources": [{"@odata.id": ACCOUNTS}]}  # fmt: skip
    assert front.ask("POST", SUBSCRIPTIONS, one, user="opal").status == 201
    assert front.ask("PATCH", f"{ACCOUNTS}/root", {"PasswordChangeRequired": False}).status == 200
    assert scene.told(scene.operator, "A") == []
    assert scene.told(scene.root, "B") == [(CHANGED, f"{ACCOUNTS}/root")]
