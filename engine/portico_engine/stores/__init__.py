"""Models on this machine, wherever a program of the field keeps them.

    stored_model.py  StoredModel: what is told of each without reading it, and which one a name means
    places.py        the folders of Portico, Hugging Face, LM Studio and Ollama, and what is in them

It reads no weights and changes nothing but Portico's own folder.
"""
