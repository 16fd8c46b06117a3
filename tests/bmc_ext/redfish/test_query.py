"""Query parameters over HTTP, against what the same resources say one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from served_front import Served, served

ROOT = "/redfish/v1"
ROLES = f"{ROOT}/AccountService/Roles"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front without a host BMC."""
    with served(tmp_path_factory.mktemp("state")) as it:
        yield it


def _get(front: Served, uri: str, **query: object) -> Any:
    text = "&".join(
        f"{name.replace('_', '$')}={quote(str(value))}" if value != "" else name.replace("_", "$")
        for name, value in query.items()
    )
    answer = front.ask("GET", f"{uri}?{text}" if text else uri)
    assert answer.status == 200, answer.body
    return answer.body


@pytest.mark.parametrize("kind", [".", "*", ".($levels=1)"])
def test_expanded_members_are_the_members_themselves(front: Served, kind: str) -> None:
    """What $expand shows of each member equals what a GET of it shows."""
    links = _get(front, ROLES)["Members"]
    assert len(links) == 7
    assert _get(front, ROLES, _expand=kind)["Members"] == [
        _get(front, link["@odata.id"]) for link in links
    ]


def test_levels_reach_as_deep_as_asked(front: Served) -> None:
    """One level expands the role collection of the service, two its members as well."""
    service = f"{ROOT}/AccountService"
    one = _get(front, service, _expand=".($levels=1)")["Roles"]
    assert one["Name"] == "Roles"
    assert one["Members"][0].keys() == {"@odata.id"}
    two = _get(front, service, _expand=".($levels=2)")["Roles"]
    assert two["Members"][0]["RoleId"] == "Administrator"


def test_tilde_expands_what_stands_in_links_only(front: Served) -> None:
    """~ leaves subordinate resources alone, . those in Links."""
    chassis = f"{ROOT}/Chassis/DCPI"
    manager = _get(front, chassis, _expand="~")["Links"]["ManagedBy"][0]
    assert manager["ManagerType"] == "Service"
    assert _get(front, chassis, _expand=".")["Links"]["ManagedBy"][0].keys() == {"@odata.id"}


def test_a_cycle_of_links_ends(front: Served) -> None:
    """Chassis and manager lead to one another; neither is shown inside itself."""
    chassis = _get(front, f"{ROOT}/Chassis/DCPI", _expand="*($levels=6)")
    back = chassis["Links"]["ManagedBy"][0]["Links"]["ManagerForChassis"][0]
    assert back == {"@odata.id": f"{ROOT}/Chassis/DCPI"}


def test_select_keeps_identity_and_what_was_asked(front: Served) -> None:
    """Selected properties, down to a member of an object, and @odata.id, type and etag."""
    body = _get(front, f"{ROOT}/AccountService", _select="Name,Status/Health")
    assert body.keys() == {"@odata.id", "@odata.type", "@odata.etag", "Name", "Status"}
    assert body["Status"] == {"Health": "OK"}


def test_select_reaches_into_expanded_members(front: Served) -> None:
    """With $expand the members show what was selected."""
    body = _get(front, ROLES, _expand=".", _select="RoleId")
    assert {"RoleId"} == {
        name for member in body["Members"] for name in member if not name.startswith("@")
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("IsPredefined eq false", set()),
        ("not (RoleId le 'Operator')", {"ReadOnly", "WorkloadOperator"}),
        ("RoleId eq 'Operator' or RoleId eq 'GridOperator'", {"Operator", "GridOperator"}),
        ("RoleId gt 'O' and RoleId lt 'P'", {"Operator"}),
        ("RoleId gt 'O' and RoleId lt 'S' and IsPredefined eq true", {"Operator", "ReadOnly"}),
        ("RoleId eq 5", set()),
        ("Missing/Part eq null and RoleId eq 'Operator'", {"Operator"}),
    ],
)
def test_filter_leaves_the_members_that_fit(front: Served, text: str, wanted: set[str]) -> None:
    """The collection shows the members for which the expression holds, and counts them."""
    body = _get(front, ROLES, _filter=text)
    found = {link["@odata.id"].rpartition("/")[2] for link in body["Members"]}
    assert body["Members@odata.count"] == len(found)
    assert found == wanted


def test_top_and_skip_cut_and_the_count_stays(front: Served) -> None:
    """The count is of all members, whatever part is shown."""
    links = _get(front, ROLES)["Members"]
    body = _get(front, ROLES, _skip=2, _top=3)
    assert body["Members"] == links[2:5]
    assert body["Members@odata.count"] == len(links)
    assert _get(front, ROLES, _top=0)["Members"] == []
    assert _get(front, ROLES, _skip=99)["Members"] == []


def test_only_shows_an_only_member(front: Served) -> None:
    """`only` gives the member of a collection of one, and any other collection itself."""
    assert _get(front, f"{ROOT}/Chassis", only="")["Id"] == "DCPI"
    assert "Members" in _get(front, ROLES, only="")


@pytest.mark.parametrize(
    ("query", "status", "key"),
    [
        ("$filter=RoleId%20is%20'x'", 400, "QueryParameterValueFormatError"),
        ("$filter=RoleId%20eq%20(", 400, "QueryParameterValueFormatError"),
        ("$filter=" + "(" * 300, 400, "QueryParameterValueFormatError"),
        ("$filter=", 400, "QueryParameterValueFormatError"),
        ("$expand=everything", 400, "QueryParameterValueFormatError"),
        ("$expand=.($levels=0)", 400, "QueryParameterOutOfRange"),
        ("$expand=.($levels=99)", 400, "QueryParameterOutOfRange"),
        ("$top=-1", 400, "QueryParameterValueTypeError"),
        ("$skip=two", 400, "QueryParameterValueTypeError"),
        ("$select=a;b", 400, "QueryParameterValueFormatError"),
        ("only&$top=1", 400, "QueryCombinationInvalid"),
        ("$orderby=Name", 501, "QueryNotSupported"),
    ],
)
def test_a_query_that_cannot_be_is_refused(
    front: Served, query: str, status: int, key: str
) -> None:
    """The refusal carries the message of the Base registry that says what is wrong."""
    answer = front.ask("GET", f"{ROLES}?{query}")
    assert answer.status == status
    assert answer.body["error"]["code"].rpartition(".")[2] == key


def test_a_resource_has_no_members_to_choose_from(front: Served) -> None:
    """$filter, $top, $skip and only are for collections."""
    for query in ("$top=1", "$filter=Id%20eq%20'x'", "only"):
        answer = front.ask("GET", f"{ROOT}/AccountService?{query}")
        assert answer.status == 400
        assert answer.body["error"]["code"].endswith("QueryNotSupportedOnResource")


def test_an_unknown_parameter_without_a_dollar_is_ignored(front: Served) -> None:
    """DSP0266 7.3.1."""
    assert front.ask("GET", f"{ROLES}?colour=blue").body == front.ask("GET", ROLES).body


def test_what_a_client_may_not_see_stays_a_link(front: Served) -> None:
    """$expand shows nobody more than a GET would."""
    front.service.accounts.ensure("reader", "only-looking", "ReadOnly")
    uri = f"{ROOT}/AccountService/Accounts?$expand=."
    own = front.ask("GET", uri, user="reader", password="only-looking").body["Members"]
    assert [account["UserName"] for account in own] == ["reader"]


@pytest.mark.parametrize("query", ["$expand=.", "$filter=RoleId%20eq%20'x'", "only"])
def test_an_answer_of_other_resources_is_never_not_modified(front: Served, query: str) -> None:
    """Its entity tag is the collection's, which stays when a member changes."""
    accounts = f"{ROOT}/AccountService/Accounts"
    tag = front.ask("GET", accounts).headers["etag"]
    known = {"If-None-Match": tag}
    assert front.ask("GET", accounts, headers=known).status == 304
    assert front.ask("GET", f"{accounts}?{query}", headers=known).status == 200
    assert front.ask("GET", f"{accounts}?$top=1", headers=known).status == 304


def test_the_only_member_comes_with_its_own_entity_tag(front: Served) -> None:
    """What a client PATCHes with If-Match after `only` is the member; Link names its schema."""
    accounts = f"{ROOT}/AccountService/Accounts"
    found = front.ask("GET", f"{accounts}?only")
    assert found.headers["etag"] == found.body["@odata.etag"]
    member = front.ask("GET", found.body["@odata.id"])
    assert found.headers["etag"] == member.headers["etag"]
    assert found.headers["link"] == member.headers["link"]


@pytest.mark.parametrize("query", ["$top=\u0661", "$skip=\u0661", "$filter=Id%20eq%20\u0661"])
def test_numbers_are_written_in_ascii(front: Served, query: str) -> None:
    """An Arabic 1 is no number of OData."""
    assert front.ask("GET", f"{ROLES}?{quote(query, safe='$=%')}").status == 400
