"""Causes that clog a queue, brought about in a running system: does the diagnosis name each one first?"""
