"""One file per Redfish schema."""
