"""Video summarisation: TVSum and SumMe in the HDF5 file in which the field shares them.

Knows that file. Does not know videos.
"""
