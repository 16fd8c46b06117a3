"""NAPALM's driver for BMCs: what a network operator asks of every device."""

import json
import sys
from urllib.parse import urlsplit

import napalm

url, user, password = sys.argv[1:]
parts = urlsplit(url)
driver = napalm.get_network_driver("redfish")
options = {"port": parts.port, "verify_ssl": False}
with driver(parts.hostname, user, password, optional_args=options) as device:
    print(
        json.dumps(
            {
                "facts": device.get_facts(),
                "environment": device.get_environment(),
                "users": device.get_users(),
            }
        )
    )
