"""What is to be done, and whether it may be done now: the table, the gates, and the facts they are told."""
