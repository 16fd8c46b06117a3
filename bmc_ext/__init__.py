"""The extension: what is flashed next to a BMC's own service, or runs beside it as a sidecar."""
