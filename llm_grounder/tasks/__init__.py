"""What is asked and answered in words: of each task the prompts, the wanted reply, its parser and its grammar.

One module a task, or a few that share their form; `catalog.FORMATS` has all by task. Parsing is pure: a reply that is
not whole is a typed `Failure` that is counted, never an empty answer. Knows texts, seconds and shares of a picture.
Does not know models, tokens or metrics.
"""
