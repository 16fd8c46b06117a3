"""The sampling core's only face: windows on the 100 ms grid."""

from bmc_ext.sampling.analysis import (
    ANALYSIS_DTYPE,
    Analysis,
    AnalysisBatch,
    ChannelCorrection,
    analyze,
    analyze_many,
)
from bmc_ext.sampling.results import Flag, PhaseAnalysis, TotalAnalysis

__all__ = [
    "ANALYSIS_DTYPE",
    "Analysis",
    "AnalysisBatch",
    "ChannelCorrection",
    "Flag",
    "PhaseAnalysis",
    "TotalAnalysis",
    "analyze",
    "analyze_many",
]
