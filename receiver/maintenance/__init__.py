"""Windows in which nothing is done and nobody is called."""
