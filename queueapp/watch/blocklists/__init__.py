"""Our addresses and domains against public blocklists, by the rules of RFC 5782.

    lists.toml  what is known of each list        targets.py  what is ours and is asked about
    lists.py    reads it, and who chose what       due.py      which checks are due, one row a pair
    names.py    the name to ask for                asking.py   asks, under limits; tests the list first
    answer.py   what an answer means               settle.py   two answers that agree
    replies.py  receivers that name a list         run.py      the task that does it all

Opt-in (MAILWEIR_BLOCKLISTS). Promises: a list's answers count only while its own test entries are right;
nothing is confirmed, and nothing is over, by one answer; each list hears of each target at most once an hour,
but for the second look. Never: shows or logs a key, which stands in the names that are asked for.
"""
