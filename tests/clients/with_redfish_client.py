"""redfish-client, whose resources are objects: a reading, and an action by its name."""

import json
import sys

import redfish_client

url, user, password = sys.argv[1:]
root = redfish_client.connect(url, user, password, verify=False)
campus = next(chassis for chassis in root.Chassis.Members if chassis.Id == "DCPI")
outlet = root.PowerEquipment.RackPDUs.Members[0].Outlets.Members[3]
outlet.execute_action("#Outlet.PowerControl", {"PowerState": "Off"})
print(json.dumps({"power_w": campus.EnvironmentMetrics.PowerWatts.Reading}))
