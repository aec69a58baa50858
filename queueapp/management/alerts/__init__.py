"""`manage.py alerts`: what holds, who looks after it, silences, rules and tests, in a terminal.

listed.py makes tables of rows, asked.py turns options into what the actions take. The actions are those of
pages and API (queueapp/access), and JSON has the fields of the API (queueapp/access/alert_rows.py).
"""
