"""What people are told, and how it leaves the house."""
