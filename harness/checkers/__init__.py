"""From a history to a verdict: finders, metrics, gates, the judge, and the planted controls. Pure; no I/O, no clock."""
