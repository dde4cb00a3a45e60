"""A trained adapter as others read it.

peft_folder.py   adapter_config.json and adapter_model.safetensors
gguf_file.py     llama.cpp's GGUF adapter
merged_gguf.py   a whole model with the adapter in its weights
"""
