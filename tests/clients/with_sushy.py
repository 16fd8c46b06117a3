"""What Ironic's library does with a BMC: log in with a session, look, switch, boot, subscribe.

Arguments: URL, user, password, where to send events, and where an image of the firmware lies.
"""

import datetime
import json
import sys
import time

import sushy
from sushy import auth

url, user, password, listener, image = sys.argv[1:]
root = sushy.Sushy(
    f"{url}/redfish/v1", verify=False, auth=auth.SessionAuth(username=user, password=password)
)
system = root.get_system_collection().get_members()[0]
seen = {"name": system.name, "before": system.power_state.value}
system.reset_system(sushy.RESET_ON)
system.refresh()
seen["on"] = system.power_state.value
system.set_system_boot_options(sushy.BOOT_SOURCE_TARGET_PXE, sushy.BOOT_SOURCE_ENABLED_CONTINUOUS)
system.set_indicator_led(sushy.INDICATOR_LED_BLINKING)
system.secure_boot.set_enabled(True)
system.refresh()
seen["boot"] = system.boot["target"].value
medium = next(one for one in system.virtual_media.get_members() if one.identity == "Cd")
medium.insert_media("http://127.0.0.1/ironic.iso")
seen["nics"] = sorted(system.ethernet_interfaces.summary)

chassis = {one.identity: one for one in root.get_chassis_collection().get_members()}
seen["chassis"] = sorted(chassis)
own = chassis["DCPI"]
seen["temperatures"] = {one.name: one.reading_celsius for one in own.thermal.temperatures}
seen["voltages"] = own.power.json["Voltages@odata.count"]
seen["power_w"] = own.power.json["PowerControl"][0]["PowerConsumedWatts"]
seen["sessions"] = len(root.get_session_service().sessions.get_members())

managers = {one.identity: one for one in root.get_manager_collection().get_members()}
bmc = managers[system.identity]
seen["manager"] = [one.identity for one in bmc.systems]
bmc.set_datetime(datetime_local_offset="+03:00")

events = root.get_event_service()
subscription = events.subscriptions.create(
    {"Destination": listener, "Protocol": "Redfish", "Context": "ironic"}
)
now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
events.submit_test_event(
    "1", now, sushy.EVENT_TYPE_ALERT.value, "A test of Ironic's", [],
    "ResourceEvent.1.4.TestMessage", "/redfish/v1/Chassis/DCPI", "Warning",
)  # fmt: skip
time.sleep(2)  # the listener looks for what came
subscription.delete()
seen["subscriptions"] = len(events.subscriptions.get_members())

updates = root.get_update_service()
# The monitor that simple_update gives looks at the task itself, which is answered with 200 from the
# beginning; the one that the task names is answered with 202 while the update runs.
task = updates.simple_update(image).get_task()
monitor = root.get_task_monitor(task.task_monitor)
seen["monitor"] = [monitor.response.status_code]
deadline = time.monotonic() + 60
while monitor.check_is_processing and time.monotonic() < deadline:
    time.sleep(0.2)
seen["monitor"].append(monitor.response.status_code)
task.refresh()
seen["task"] = task.task_state.value
seen["firmware"] = {one.identity: one.version for one in updates.firmware_inventory.get_members()}
print(json.dumps(seen))
