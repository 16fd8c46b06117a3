"""rackfish, whose objects are the resources: a switch, a set point, an outlet."""

import json
import sys

import rackfish

url, user, password = sys.argv[1:]
client = rackfish.RedfishClient(url, user, password, use_session=True, verify_ssl=False)
client.connect()
system = next(iter(client.Systems))
system.AssetTag = "rack 9"  # first: it sends the ETag that it has read
system.Reset(ResetType="On")
campus = next(chassis for chassis in client.Chassis if chassis.Id == "DCPI")
pumps = (control for control in campus.Controls.Members if "loop_b_PumpSpeed" in control.Id)
next(pumps).SetPoint = 81
outlets = client.PowerEquipment.RackPDUs.Members[0].Outlets.Members
outlets[3].PowerControl(PowerState="Off")
try:
    outlets[3].PowerControl(PowerState="Half")
except rackfish.RedfishError as error:
    refusal = str(error)
power = next(sensor for sensor in campus.Sensors.Members if sensor.Id == "Facility_Power")
client.logout()
print(json.dumps({"power_w": power.Reading, "refusal": refusal}))
