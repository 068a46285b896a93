"""Spotter: answers from exercise articles, each line cited, and safety decided by code."""
