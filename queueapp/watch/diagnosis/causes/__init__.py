"""The rules: from facts to findings. Pure: no database, no clock, no settings.

table.py has the words, receivers.py reads replies, stops.py knows what stops everything, senders.py who
fills the queue, judge.py puts them together and in order.
"""
