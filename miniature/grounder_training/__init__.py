"""The miniature grounder's training: films of the long world, lessons about them, the trainer, and what is measured.

`miniature.train_grounder` and `miniature.eval_grounder` are the doors. Knows the long world, the miniature's image
tower and `llm_grounder`. Does not know benchmarks' files.
"""
