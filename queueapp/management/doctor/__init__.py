"""What `manage.py doctor` looks at: each check answers with what it found and what to do."""
