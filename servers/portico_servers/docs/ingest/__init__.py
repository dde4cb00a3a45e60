"""From sources to pages and passages. It knows nothing of the index.

sources.py           directories, files, installed packages: what is there, and under which stamp
web.py               fetching public pages: only public addresses, only what robots.txt allows, bounded
timed_connections.py  connections on which a whole request has its time
public_addresses.py  which addresses belong to the public internet
web_paths.py         what pages of the web are called in the index
readers/             from bytes to a page, one module a format
pages.py             a page: its text and its outline
anchors.py           anchors as the places write them where the page will be opened
chunks.py            a page cut into passages
reader_pool.py       reading pages off the server's thread, in worker processes where there are many
"""
