"""How the miniature SAM2 is trained: a pool of rendered clips, batches, the forward pass, the losses, the schedule.

Knows the rendered world and the modules of the `sam2` package. Does not know grids, caches or language.
Here O is objects a clip in a batch (three: one for each kind of prompt) and B clips; the batch of objects, N = O * B,
is laid out group by group, so that object n belongs to clip n % B.
"""
