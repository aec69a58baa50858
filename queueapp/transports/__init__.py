"""Ways out: they know envelopes and outcomes, and neither the database, nor settings, nor Redis."""
