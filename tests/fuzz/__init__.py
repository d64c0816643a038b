"""Broken input for every parser: the parsers as targets, small corpora, and a fuzzer guided by coverage."""
