"""What Alertmanager and Prometheus say, and what it changes in the store."""
