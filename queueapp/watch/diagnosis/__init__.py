"""Why mail waits: the causes, how many deliveries each holds, the proof, and what to do.

    look.py     one round: gather, judge, write; every ten seconds in the process `watch`
    facts.py    what the rules look at: plain values
    gather.py, samples.py, system.py    facts from a few bounded queries, and from this machine
    records.py  our own DNS records, looked up beside it
    causes/     the rules: pure, from facts to findings; table.py has their words
    evidence.py replies that say the same, grouped
    store.py    findings to rows of Diagnosis, and back
    told.py     a row in words, with what to press

Promises: a round reads a bounded number of rows however deep the queue is, and costs a sixtieth of the
time at most; it changes nothing in the queue; nothing of it runs in a request but one scope's look
(`ask.py`), in bounded time. On a database that is away it raises, and the last rows stand with their age.
"""
