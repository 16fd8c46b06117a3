"""Events of the Redfish face: what happened, who wants to know, and how it gets there."""
