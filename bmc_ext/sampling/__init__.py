"""The sampling core's only face: windows on the 100 ms grid."""

from bmc_ext.sampling.analysis import ChannelCorrection, analyze
from bmc_ext.sampling.results import Analysis, Flag, PhaseAnalysis, TotalAnalysis

__all__ = ["Analysis", "ChannelCorrection", "Flag", "PhaseAnalysis", "TotalAnalysis", "analyze"]
