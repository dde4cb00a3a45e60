"""Text to tokens and back, and chats to text.

    tokenizer.py       Tokenizer: a vocabulary, its special tokens, the bytes of every token; from GGUF metadata
    tokenizer_json.py  the same from a Hugging Face folder
    pretokenize.py     how text is cut before merging, by family
    bpe.py             merging, by the `tokenizers` library
    chat_template.py   chat turns to prompt text, by the model's own template
    detokenizer.py     tokens to streamed text: whole characters, nothing past a stop string

It knows no models, requests or steps.
"""
