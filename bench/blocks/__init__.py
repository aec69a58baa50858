"""A receiver blocks one of our addresses: does the mail go round it, and how does it come back?"""
