"""GOT-10k and everything in its layout.

Knows these files. Does not know the other datasets.
"""
