"""Alerts: conditions that people are told of once, and once more when they are over.

look.py is one round: conditions/ say what is seen, states.py what becomes of it, muting.py who keeps quiet,
grouping.py what is told as one, telling.py writes the notices that queueapp/watch/notify sends.
Promises: a condition is told by one mail however many things it holds on, and a restart tells nothing twice.
away.py tells of the database itself, from memory.
"""
