"""What people may change: API keys and SMTP logins, suppressions, limits, sources, holds."""
