"""A model behind an OpenAI-compatible server (vLLM, llama-server, ...), as the loop sees one.

    remote_model.py   RemoteModel: implements `TurnModel` over HTTP
    chat_request.py   turns and tools as a chat completion's request
    chat_answer.py    its response as a turn; every call is checked, and what is none is told to the model

Such a server gets no grammar of ours and no tokens: what it writes is checked, where our own engine could not write it.
"""
