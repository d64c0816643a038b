"""What Alertmanager calls: POST /alerts, and everything that follows from it."""
