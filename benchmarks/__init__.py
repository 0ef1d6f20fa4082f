"""Measures what the package promises about speed, delay and memory: `python -m benchmarks`.

CPU is the processor time of one process that does nothing else: the far end is a second process.
Competitors run in turns in the same run, because machines change their speed; every number is a
median, and is thrown away unless the sound that was sent was really heard.
"""
