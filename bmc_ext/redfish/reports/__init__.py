"""Metric reports: which readings, how often, and to whom."""
