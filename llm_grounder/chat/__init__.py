"""Chat models that see pictures (Qwen3-VL class), untrained for our tasks: asked for moments, and to re-rank tracks.

`in_process` runs one of transformers, `server` asks one behind an OpenAI-compatible server, and `response_cache` keeps
what either said. `moments` and `rerank` make score types of replies. Does not know video files, tracks' caches or
commands.
"""
