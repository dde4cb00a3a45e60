"""A model on disk: metadata under GGUF's keys, tensors under GGUF's names, whatever it is stored as.

    model_file.py           ModelFile: what every form of storage presents, and the reading of tensors and metadata
    gguf_file.py            a GGUF file, or several that hold one model
    hugging_face.py         a Hugging Face folder: its files and its tensors' names
    hugging_face_config.py  its config.json under GGUF's keys
    quantization_config.py  how a folder's packed matrices are stored
    packed_tensors.py       matrices of several arrays, presented as one tensor
    safetensors_file.py     one safetensors file
    json_file.py            JSON objects, read or refused by name
    regular_file.py         files are opened, pipes are not
    fused_experts.py        gpt-oss's experts as matrices of their own
    split_tensors.py        stacked and fused matrices as their parts

Nothing here imports torch or knows what an architecture does with its tensors.
"""
