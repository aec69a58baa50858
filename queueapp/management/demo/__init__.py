"""What `manage.py demo` sends, and how: made-up mail to domains under .test, for the sandbox only."""
