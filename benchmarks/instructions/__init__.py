"""Instruction data with times: VTG-IT's questions and answers, MMDuetIT's narrations, dialogues and groundings.

Knows their JSON. Does not know videos or prompts.
"""
