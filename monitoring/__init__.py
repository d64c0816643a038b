"""The files that Prometheus, Alertmanager, Grafana and the receiver read.

A package only so that the wheel carries them: ``importlib.resources.files("monitoring")``.
"""
