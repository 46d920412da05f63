"""What a visitor may do, remembered in the session: no account is needed to pin a note."""


def owns(request, what, pk):
    return pk in request.session.get(what, ())


def remember(request, what, pk):
    request.session[what] = [*request.session.get(what, ()), pk]


def forget(request, what, pk):
    request.session[what] = [known for known in request.session.get(what, ()) if known != pk]
