"""The grounder's read-outs: heads on the language model's last states, each with losses under names of its own."""
