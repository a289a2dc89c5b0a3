from __future__ import annotations

from hypothesis import HealthCheck, settings

# Clusters may run beside these tests: how long an example takes says nothing about the code.
settings.register_profile("loaded-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded-machine")
