"""Text to tokens and back, and chats to text.

    tokenizer.py       Tokenizer: a vocabulary, its special tokens, the bytes of every token
    gguf_tokenizer.py  one from GGUF metadata
    tokenizer_json.py  one from a Hugging Face folder
    pretokenize.py     how text is cut before merging, by family
    bpe.py             merging, by the `tokenizers` library
    unigram.py         Unigram and WordPiece, by the same
    chat_template.py   chat turns to prompt text, by the model's own template
    template_environment.py  the sandbox that templates run in
    template_budget.py  what a template may take before it is ended
    untrusted.py       stand-ins for characters from outside, and strings that hold some
    prompt_encoder.py  a rendered chat to tokens: what came from outside is never a control token
    detokenizer.py     tokens to streamed text: whole characters, nothing past a stop string

It knows no models, requests or steps.
"""
