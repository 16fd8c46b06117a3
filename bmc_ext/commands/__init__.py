"""The commands of `dcpi-bmc`, one file each."""
