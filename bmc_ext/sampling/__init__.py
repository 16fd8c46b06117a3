"""The sampling core's only face: windows on the 100 ms grid."""
