"""Alert mail while what it tells of is broken: does it arrive at a second SMTP server, once, and when?"""
