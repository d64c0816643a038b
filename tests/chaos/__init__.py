"""A randomised crash test: the real receiver, killed again and again while everything around it makes trouble."""
