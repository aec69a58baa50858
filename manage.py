#!/usr/bin/env python3
"""Mailweir's command line: `python manage.py COMMAND`. `manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    from queueapp.conf import WrongSetting, current

    try:
        current()
    except WrongSetting as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    try:
        import dashboard.settings  # noqa: F401 - makes the home and the secret key
    except OSError as error:
        from queueapp.workers.home import explain

        sys.stderr.write(f"{explain(current().home, error)}\n")
        raise SystemExit(1) from None
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
