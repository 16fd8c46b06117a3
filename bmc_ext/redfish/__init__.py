"""The Redfish face and the only package that knows Flask."""
