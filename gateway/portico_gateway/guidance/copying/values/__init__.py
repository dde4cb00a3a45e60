"""What a parameter may be, of what a question says.

    copied_value.py   CopiedValue: a value, its weight, where it is said
    written_forms.py  a span as a parameter wants it written
    listed_values.py  which listed value is said; whether something is so
    glob_values.py    patterns of file names
    array_values.py   arrays out of lists that are said
    copied_values.py  all of it

Which of them a parameter gets, `value_assignment.py` decides.
"""
