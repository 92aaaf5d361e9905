# PyPI's riak 2.7.0 is of 2016: names of Python 3.11's own library that it still looks for. The client's code stays as it is.
import collections
import collections.abc

for name in collections.abc.__all__:
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))

made = collections.namedtuple


def namedtuple(*args, verbose=False, **named):
    """Without `verbose`, which Python 3.7 took away."""
    return made(*args, **named)


collections.namedtuple = namedtuple
