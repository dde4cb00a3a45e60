"""Hosts: the programs that start Portico as an MCP server, and the files in which they are told to.

registry.py     which hosts there are, where their files lie, and how each writes a server
entry.py        the entry that adds Portico to a host
json_member.py  one member of a JSON text put in and taken out, comments and all else kept
installed.py    the entry put into a host's file and taken out, with a copy of the file before
"""
