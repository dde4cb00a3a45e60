"""A run as a user starts it: from a file of rows to a folder with an adapter and a report.

options.py       what a run is told
run_data.py      the file's rows: checked, divided, as tokens
run_folder.py    what lies in a run's folder: adapter, checkpoint, report, picture
supervised.py    sft
preferences.py   dpo, ipo and kto
reinforced.py    rlhf: the reward model, then GRPO
exporting.py     an adapter, or a checkpoint, in the form that is wanted
evaluation.py    before and after, through the engine; what an adapter forgot
"""
