"""What Ironic's library does with a BMC: log in with a session, look, switch, boot, reset."""

import json
import sys

import sushy
from sushy import auth

url, user, password = sys.argv[1:]
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
system.refresh()
seen["boot"] = system.boot["target"].value
chassis = {one.identity: one for one in root.get_chassis_collection().get_members()}
seen["chassis"] = sorted(chassis)
seen["sessions"] = len(root.get_session_service().sessions.get_members())
print(json.dumps(seen))
