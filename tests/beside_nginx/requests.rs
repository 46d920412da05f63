//! The requests, and what is to be said of the answers.

/// One request to both.
pub(crate) struct Case {
    /// `GET /`.
    pub(crate) line: &'static str,
    /// Further fields, each with its end.
    pub(crate) fields: &'static str,
    pub(crate) body: &'static str,
    pub(crate) says: Says,
}

/// What is expected of the two answers.
pub(crate) enum Says {
    /// The same status, type, length, body and place.
    Same,
    /// Ours is another one, for a reason.
    Better {
        ours: u16,
        theirs: u16,
        because: &'static str,
    },
}

const fn same(line: &'static str) -> Case {
    same_with(line, "", "")
}

const fn same_with(line: &'static str, fields: &'static str, body: &'static str) -> Case {
    Case {
        line,
        fields,
        body,
        says: Says::Same,
    }
}

const fn better(line: &'static str, ours: u16, theirs: u16, because: &'static str) -> Case {
    better_with(line, "", (ours, theirs), because)
}

const fn better_with(
    line: &'static str,
    fields: &'static str,
    (ours, theirs): (u16, u16),
    because: &'static str,
) -> Case {
    Case {
        line,
        fields,
        body: "",
        says: Says::Better {
            ours,
            theirs,
            because,
        },
    }
}

const ASSET: &str = "a script that is missing is a 404: the front's page in its place ends in a syntax error, \
                     and stays in caches under the script's name";
const HIDDEN: &str = "files that begin with a dot are never sent, but for .well-known";
const SCRIPT: &str = "text/javascript is the type of scripts (RFC 9239 §6)";
const CHARSET: &str = "`charset` holds for all text, styles, JSON and SVG included";
const TYPE: &str = "nginx's table does not know the type, and browsers refuse such a module";
const FOLDER: &str =
    "a folder without an index may be a page of the front's; there is nothing to forbid";
const SLASH: &str =
    "an escaped slash separates nothing (RFC 3986 §2.2), so no rule for a folder is passed by";
const ERROR: &str = "the page for errors is no page of the site";
const OPTIONS: &str = "an OPTIONS is answered with the methods that there are";
const RANGE: &str = "a Range means something to GET alone (RFC 9110 §14.2)";
const SENT: &str =
    "the application gets the path that was sent; routes and rules go by its normal form";

/// To the first server, `listen 80`.
pub(crate) const FRONT: &[Case] = &[
    same("GET /"),
    same("HEAD /"),
    same("GET /?utm_source=a"),
    same("GET /index.html"),
    same("GET /deep/link"),
    same("GET /deep/link/"),
    better("GET /assets/app.4f2a9c1e.js", 200, 200, SCRIPT),
    better("HEAD /assets/app.4f2a9c1e.js", 200, 200, SCRIPT),
    better("GET /assets/style.css", 200, 200, CHARSET),
    better("GET /assets/data.json", 200, 200, CHARSET),
    better("GET /assets/icon.svg", 200, 200, CHARSET),
    better("GET /assets/module.mjs", 200, 200, TYPE),
    better("GET /app.webmanifest", 200, 200, TYPE),
    same("GET /assets/font.woff2"),
    same("GET /assets/film.mp4"),
    same("GET /assets/notes.txt"),
    same("GET /assets/unknown.zzz"),
    same("GET /with%20space.txt"),
    same("GET /docs/"),
    same("GET /docs"),
    same("GET /docs?q"),
    better("GET /empty/", 200, 403, FOLDER),
    better("GET /empty", 200, 301, FOLDER),
    better("GET /assets/missing.js", 404, 200, ASSET),
    better("GET /assets/missing.css", 404, 200, ASSET),
    better("GET /.env", 404, 200, HIDDEN),
    same("GET /.well-known/security.txt"),
    same("GET //assets//notes.txt"),
    same("GET /assets/./notes.txt"),
    same("GET /assets/%2e%2e/index.html"),
    same("GET /docs/../assets/notes.txt"),
    same("GET /%61ssets/notes.txt"),
    same("GET /%2e%2e/html/50x.html"),
    same("GET /../html/50x.html"),
    better("GET /..%2fhtml/50x.html", 404, 400, SLASH),
    better("GET /assets%2fnotes.txt", 404, 200, SLASH),
    same("GET /a%00b"),
    same("GET /a%zz"),
    better("GET /50x.html", 200, 200, ERROR),
    same("POST /assets/style.css"),
    same("POST /"),
    same("DELETE /assets/style.css"),
    same("PUT /new.txt"),
    same("TRACE /"),
    better("OPTIONS /", 204, 405, OPTIONS),
    same_with("GET /assets/film.mp4", "Range: bytes=0-0\r\n", ""),
    same_with("GET /assets/film.mp4", "Range: bytes=20-\r\n", ""),
    same_with("GET /assets/film.mp4", "Range: lines=1-2\r\n", ""),
    better_with(
        "HEAD /assets/film.mp4",
        "Range: bytes=0-3\r\n",
        (200, 206),
        RANGE,
    ),
    same_with("GET /assets/notes.txt", "Accept-Encoding: gzip, br\r\n", ""),
];

/// To the second one, `listen 8000`.
pub(crate) const BACK: &[Case] = &[
    same("GET /api/notes?page=2"),
    same("HEAD /api/notes"),
    same("GET /api"),
    same("GET /apix"),
    same("GET /admin/"),
    same("GET /admin/login/"),
    same("GET /admin"),
    same("GET /api/caf%C3%A9"),
    same("GET /api/raises"),
    same_with("POST /api/notes", "Content-Length: 4\r\n", "text"),
    same_with(
        "POST /api/notes",
        "Transfer-Encoding: chunked\r\n",
        "4\r\ntext\r\n0\r\n\r\n",
    ),
    same_with("POST /api/notes", "Content-Length: 21000000\r\n", ""),
    same_with(
        "PUT /api/notes",
        "Content-Length: 4\r\nExpect: 100-continue\r\n",
        "text",
    ),
    same("DELETE /api/notes"),
    same("OPTIONS /api/notes"),
    better(
        "GET /static/site.css",
        200,
        404,
        "nginx's `root` looks for /static/static/site.css, where `alias` was meant",
    ),
    same("GET /static/missing.css"),
    same("GET /other"),
    better(
        "GET /",
        404,
        403,
        "no route answers; nginx looks into its own `html` folder",
    ),
    better("GET /static/../api/x", 200, 200, SENT),
    better("GET /static/%2e%2e/admin/x", 200, 200, SENT),
];
