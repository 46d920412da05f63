"""When a response has arrived whole: enough of HTTP/1.1 for the answers the servers give here."""


def whole(data):
    """True when `data` holds a complete 200, ConnectionError when it holds anything else."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head.split(b"\r\n")[0].decode("latin-1"))
    _, found, length = head.lower().partition(b"\r\ncontent-length:")
    if found:
        return len(body) >= int(length.split(b"\r\n")[0])
    if b"\r\ntransfer-encoding:" in head.lower():
        return body.endswith(b"\r\n0\r\n\r\n")
    raise ConnectionError("a response that only the end of the connection ends")
