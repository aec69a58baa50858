"""Faults under load: what is lost and what comes twice when a part dies, hangs or lies.

`python -m bench faults [NAME …]` plays each fault in a system of its own while mail comes in at a rate,
and compares, by Message-ID, what was accepted with what the sink got. bench/faults/command.py.
"""
