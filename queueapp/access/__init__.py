"""Who may hand us mail and who may read the queue: API keys and SMTP logins, made and revoked."""
