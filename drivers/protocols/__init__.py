"""The protocols beside Modbus; `drivers.protocol` imports each when a profile first asks for it."""
