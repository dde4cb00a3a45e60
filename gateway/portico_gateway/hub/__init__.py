"""Models from Hugging Face's hub, fetched because a person asked for them, and never otherwise.

    repository.py   which files a repository has, and which of them a name means
    download.py     one file: resumed, checked, in place when it is whole
    pull.py         a model or an adapter: what of it is missing
    recommended.py  a short list of models that call tools well, and which fits this machine
    suggestion.py   the one line about a better model, said once

It knows neither engine nor servers. Nothing about a question, a file or this machine is sent.
"""
