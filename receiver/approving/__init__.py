"""What a person must allow before it is done: the question, its link, its page, the answer."""
