"""What a role's process tells of itself over HTTP: Prometheus metrics, health, readiness."""
