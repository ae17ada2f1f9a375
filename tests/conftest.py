"""What holds for every test: machines under load are no defect of what is tested."""

from hypothesis import HealthCheck, settings

# How long an example takes, and how long drawing one takes, says something of the machine alone.
settings.register_profile("machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("machine")
