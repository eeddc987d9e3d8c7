"""Questions about whole videos with one short answer: MSVD, MSRVTT, TGIF and ActivityNet QA.

Knows their files. Does not know videos, or how answers are judged.
"""
