"""What the verbs look at: one file a subject, each check a function from facts to findings."""
