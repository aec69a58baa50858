"""How people are told: e-mail by a way of its own, webhook, Slack, and a ping that says we are well.

Never through the queue, never by Redis. words.py and letter.py make what is sent, compose.py the rows of it,
send.py sends what waits, ways.py speaks SMTP, http.py HTTP, spool.py keeps mail where the database is away.
Promises: what can't be sent is tried again for hours, by every way there is; texts of strangers stay one line
in a subject, plain in text and escaped in HTML; no secret is stored or shown.
"""
