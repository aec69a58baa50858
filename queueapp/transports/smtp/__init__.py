"""SMTP: the pipelining client, TLS for it, and the look-up of MX hosts."""
