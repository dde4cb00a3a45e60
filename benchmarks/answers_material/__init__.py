"""What the questions of answers.py are asked about: trees and documentations of packages, generated databases, MCP servers.

names.py        invented people and words, a seeded source
stores.py       databases of shops: music, film, orders
registers.py    databases of institutions: library, school, sensors
odd.py          databases with odd names and cells: a helpdesk, a doctors' practice in German
studio_server.py  a climbing hall's MCP server
outside.py      what the third-party servers work on: notes, a knowledge graph, a git repository, a bicycle shop
workspaces.py   brings all of it into a cache folder, by pinned version and digest; how each workspace is configured
"""
