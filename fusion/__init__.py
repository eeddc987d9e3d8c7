"""Stage 3: track scores and moment scores become an answer; answers become files (JSON, PNG masks, MP4).

Knows the types of `core`. Does not know who proposed the tracks or who scored them: any scorer fuses with any other.
"""
