//! Files: GGUF, safetensors and importance matrices. Parsers and writers that do no I/O.
