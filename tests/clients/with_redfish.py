"""DMTF's Python library: a session, the facility's power, and a command to a pump."""

import datetime
import json
import sys

import redfish

url, user, password = sys.argv[1:]
client = redfish.redfish_client(base_url=url, username=user, password=password)
client.login(auth="session")
power = client.get("/redfish/v1/dcpi/power/realtime").dict["Total"]["PowerWatts"]
command = {
    "dcpi_version": "1.0",
    "message_type": "thermal_control",
    "timestamp": datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z"),
    "cooling_commands": [{"system_id": "liquid_cooling_loop_b", "pump_speed_percent": 83}],
}
answer = client.post("/redfish/v1/dcpi/thermal/control", body=command)
client.logout()
print(json.dumps({"power_w": power, "status": answer.status, "answer": answer.dict}))
