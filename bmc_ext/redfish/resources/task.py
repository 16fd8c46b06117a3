"""TaskService: operations that go on after their request was answered (DSP0266 clause 12.2)."""

from __future__ import annotations

from typing import Any

from bmc_ext.clock import iso8601
from bmc_ext.redfish.base_messages import PREFIX
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import error_response
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from bmc_ext.tasks import Task

routes = Routes()

SERVICE = "/redfish/v1/TaskService"
TASKS = f"{SERVICE}/Tasks"
MONITORS = f"{SERVICE}/TaskMonitors"
_TASK = "Task.v1_7_4.Task"
_LOOK_AGAIN_S = "1"


@routes.get(SERVICE, LOGIN, schema="TaskService.v1_2_1.TaskService", volatile=("DateTime",))
def task_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Tasks live in memory: a restart ends them and forgets them."""
    return {
        "Id": "TaskService",
        "Name": "Task Service",
        "ServiceEnabled": True,
        "DateTime": iso8601(context.clock.unix_ns() / 1e9),
        "CompletedTaskOverWritePolicy": "Oldest",
        "LifeCycleEventOnTaskStateChange": False,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Tasks": {"@odata.id": TASKS},
    }


@routes.get(TASKS, LOGIN, schema="TaskCollection.TaskCollection")
def tasks(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """All tasks that are kept, oldest first."""
    found = [{"@odata.id": f"{TASKS}/{task.id}"} for task in context.tasks.list()]
    return {"Name": "Tasks", "Members": found, "Members@odata.count": len(found)}


@routes.get(f"{TASKS}/{{task}}", LOGIN, schema=_TASK)
def task(context: Context, request: Request) -> dict[str, Any]:
    """One task."""
    return _body(context.tasks.get(request.params["task"]))


@routes.get(f"{MONITORS}/{{task}}", LOGIN)
def task_monitor(context: Context, request: Request) -> Response:
    """202 while it runs, then what the operation would have answered had it been waited for."""
    found = context.tasks.get(request.params["task"])
    if not found.is_over:
        return accepted(found)
    if found.error is not None:
        return error_response(found.error, request.path)
    return Response(200, _representation(found))


def accepted(found: Task) -> Response:
    """The answer to the request that began a task, and to who looks at it too early."""
    headers = {"Location": f"{MONITORS}/{found.id}", "Retry-After": _LOOK_AGAIN_S}
    return Response(202, _representation(found), headers)


def _representation(found: Task) -> dict[str, Any]:
    return {"@odata.type": f"#{_TASK}", "@odata.id": f"{TASKS}/{found.id}", **_body(found)}


def _body(found: Task) -> dict[str, Any]:
    failed = found.state == "Exception"
    body = {
        "Id": found.id,
        "Name": found.name,
        "TaskState": found.state,
        "TaskStatus": "Critical" if failed else "OK",
        "PercentComplete": found.percent,
        "StartTime": iso8601(found.began_s),
        "TaskMonitor": f"{MONITORS}/{found.id}",
        "Messages": [_message(found)] if found.is_over else [],
    }
    if found.ended_s is not None:
        body["EndTime"] = iso8601(found.ended_s)
    return body


def _message(found: Task) -> dict[str, Any]:
    failed = found.state == "Exception"
    return {
        "MessageId": f"{PREFIX}.{'GeneralError' if failed else 'Success'}",
        "Message": found.text,
        "MessageArgs": [],
        "MessageSeverity": "Critical" if failed else "OK",
        "Resolution": "Mend what the message names and begin again." if failed else "None.",
    }
