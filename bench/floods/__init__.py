"""A stolen login floods the queue: is it held, do others feel it, is its owner told, is one click enough?"""
