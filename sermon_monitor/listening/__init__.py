"""The two listeners: who may connect, for how long, and how secured."""
