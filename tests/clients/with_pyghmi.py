"""OpenStack's pyghmi: power, boot, accounts, media and sensors as it would have them of any BMC."""

import json
import sys
from urllib.parse import urlsplit

from pyghmi.redfish.command import Command

url, user, password = sys.argv[1:]
where = urlsplit(url)


def fresh():
    """A client that has cached nothing."""
    return Command(where.hostname, user, password, lambda _: True, port=where.port)


client = fresh()
client.set_power("off", wait=30)
off = client.get_power()["powerstate"]
client.set_power("on", wait=30)
client.set_bootdev("network")
client.set_identify(True)
client.create_user("ghost", "ghost", "first-secret", "ReadOnly")
client = fresh()
client.set_user_password("ghost", password="second-secret")
client.set_user_access("ghost", "operator")
client.attach_remote_media("http://192.0.2.1/pyghmi.iso")
client = fresh()
sensors = {one.name: one.value for one in client.get_sensor_data()}
seen = {
    "off": off,
    "boot": client.get_bootdev(),
    "identify": client.get_identify()["identifystate"],
    "sensors": sensors,
    "media": [f"{medium.url}/{medium.name}" for medium in client.list_media()],
    "firmware": {name: one["version"] for name, one in client.get_firmware()},
    "access": client.get_user("ghost")["access"]["privilege_level"],
}
client.detach_remote_media()
client.set_identify(False)
print(json.dumps(seen))
