"""The machine, by node_exporter's names and meanings: one area of the kernel's files a module.

An area keeps its files open and the names and labels of its series ready; a scrape reads the files and
puts their numbers behind the names.
"""
