"""The value of a read, short enough to be compared: known to the application and the runner."""

import zlib


def brief(value):
    if isinstance(value, bytes) and len(value) > 60:
        return f"{len(value)} bytes, {zlib.crc32(value):08x}"
    if isinstance(value, list) and len(value) > 60:
        return f"{len(value)} of {zlib.crc32(b'|'.join(value)):08x}"
    if isinstance(value, (list, tuple)):
        return [brief(one) for one in value]
    return value
