"""The mock BMC: sushy-tools as host BMC in front of a simulated plant on real protocols."""
