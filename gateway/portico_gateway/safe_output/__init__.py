"""What leaves this process, made safe for whoever reads it. It knows nothing of what is said.

redaction.py      secrets are taken out of errors, logs and health
inert.py          lines and JSON in which escape sequences and invisible characters are shown, not sent
private_files.py  files and folders for their owner alone
"""
