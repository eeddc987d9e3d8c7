"""The rendered worlds in the files of every benchmark that has a reader: one module a format, media shared by links.

`catalogue.FORMATS` names them; `dataset.write_formats` writes several beside one another. Knows files. Does not know
how videos are drawn. `python -m miniature.render --formats NAME,...` is the command.
"""
