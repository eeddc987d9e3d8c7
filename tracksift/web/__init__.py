"""The web page: a video in, tracked once, then any number of expressions, boxes and downloads, for several users.

`server` puts it together; gradio carries events, `routes` carries files. Each browser tab is a session with a folder of
its own, deleted after it. Knows pipelines. Does not know command lines. Needs the extra `web`.
"""
