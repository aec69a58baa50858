"""Knowledge about e-mail that needs no database, no settings and no network: pure functions on values."""
