"""A real BMC behind the port of `bmc_ext.redfish.host`: its Redfish service over HTTPS."""
