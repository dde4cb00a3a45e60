"""The tools of portico-docs, and what they answer.

registration.py  search, read, list: descriptions, parameters, errors
results.py       their structured results, and the short text beside each
"""
