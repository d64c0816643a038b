"""Backups: made, listed, verified, put back, thinned out and tried."""
