//! What is answered: fields, conditions, ranges, encodings.

use super::*;

#[tokio::test]
async fn files_come_with_their_type_validators_and_freshness() {
    let site = Site::new();
    let home = site.get("/", &[]).await;
    assert_eq!(home.status, 200);
    assert_eq!(home.body, b"<h1>home</h1>");
    assert_eq!(home.field("content-type"), "text/html; charset=utf-8");
    assert_eq!(home.field("cache-control"), "no-cache");
    assert_eq!(home.field("content-length"), "13");
    assert_eq!(home.field("accept-ranges"), "bytes");
    assert_eq!(home.field("x-content-type-options"), "nosniff");
    assert!(home.field("etag").starts_with('"') && home.field("etag").ends_with('"'));
    assert!(httpdate::parse_http_date(home.field("last-modified")).unwrap() <= SystemTime::now());
    let script = site.get("/assets/index-DiwrgTda.js", &[]).await;
    assert_eq!(
        script.field("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        script.field("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        site.get("/%69ndex%2ehtml", &[]).await.body,
        b"<h1>home</h1>"
    );
}

#[tokio::test]
async fn head_has_the_fields_of_get_and_no_body() {
    let site = Site::new();
    fs::write(site.path("large.bin"), vec![7; 3 << 20]).unwrap();
    for path in [
        "/",
        "/assets/index-DiwrgTda.js",
        "/large.bin",
        "/deep/link",
        "/no.js",
        "/docs",
    ] {
        let get = site.get(path, &[HTML]).await;
        let head = site.send("HEAD", path, &[HTML]).await;
        assert_eq!(
            (head.status, &head.fields),
            (get.status, &get.fields),
            "{path}"
        );
        assert_eq!(
            head.field("content-length"),
            get.body.len().to_string(),
            "{path}"
        );
        assert!(head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let site = Site::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
        let answer = site.send(method, "/", &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.field("allow")),
            (405, "GET, HEAD, OPTIONS")
        );
    }
    let options = site.send("OPTIONS", "/", &[]).await;
    assert_eq!(
        (options.status.as_u16(), options.field("allow")),
        (204, "GET, HEAD, OPTIONS")
    );
}

#[tokio::test]
async fn conditions_spare_the_body() {
    let site = Site::new();
    let first = site.get("/", &[]).await;
    let (etag, date) = (
        first.field("etag").to_owned(),
        first.field("last-modified").to_owned(),
    );
    let weak = format!("W/{etag}");
    for fields in [
        [("if-none-match", &*etag)],
        [("if-none-match", &*weak)],
        [("if-modified-since", &*date)],
    ] {
        let answer = site.get("/", &fields).await;
        assert_eq!(answer.status, 304, "{fields:?}");
        assert_eq!(answer.field("etag"), etag);
        assert_eq!(answer.field("cache-control"), "no-cache");
        assert!(answer.body.is_empty());
    }
    assert_eq!(
        site.get("/", &[("if-match", "\"other\"")]).await.status,
        412
    );
    assert_eq!(
        site.get("/", &[("if-none-match", "\"other\"")])
            .await
            .status,
        200
    );
    assert_eq!(
        site.get("/deep", &[HTML, ("if-none-match", &etag)])
            .await
            .status,
        304
    );
}

#[tokio::test]
async fn ranges_are_parts_of_the_file() {
    let site = Site::new();
    let all: Vec<u8> = (0..100).collect();
    let etag = site.get("/data.bin", &[]).await.field("etag").to_owned();
    for (range, part, content_range) in [
        ("bytes=0-0", 0..1, "bytes 0-0/100"),
        ("bytes=10-19", 10..20, "bytes 10-19/100"),
        ("bytes=90-", 90..100, "bytes 90-99/100"),
        ("bytes=-3", 97..100, "bytes 97-99/100"),
        ("bytes=0-99", 0..100, "bytes 0-99/100"),
    ] {
        let answer = site
            .get("/data.bin", &[("range", range), ("if-range", &etag)])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.field("content-range")),
            (206, content_range)
        );
        assert_eq!(answer.body, all[part.clone()], "{range}");
        assert_eq!(
            answer.field("content-length"),
            part.len().to_string(),
            "{range}"
        );
    }
    let beyond = site.get("/data.bin", &[("range", "bytes=100-")]).await;
    assert_eq!(
        (beyond.status.as_u16(), beyond.field("content-range")),
        (416, "bytes */100")
    );
    for fields in [
        &[("range", "bytes=0-1,3-4")][..],
        &[("range", "bytes=5-2")],
        &[("range", "bytes=0-1"), ("if-range", "\"other\"")],
    ] {
        let whole = site.get("/data.bin", fields).await;
        assert_eq!(
            (whole.status.as_u16(), whole.body.len()),
            (200, 100),
            "{fields:?}"
        );
    }
    let head = site
        .send("HEAD", "/data.bin", &[("range", "bytes=0-1")])
        .await;
    assert_eq!(
        (head.status.as_u16(), head.field("content-length")),
        (200, "100")
    );
}

#[tokio::test]
async fn precompressed_neighbours_are_negotiated() {
    let site = Site::new();
    let original = site.path("assets/index-DiwrgTda.js");
    for (suffix, contents) in [("br", "BROTLI"), ("gz", "GZ"), ("zst", "ZSTANDARD")] {
        fs::write(format!("{}.{suffix}", original.display()), contents).unwrap();
    }
    let path = "/assets/index-DiwrgTda.js";
    let mut tags = Vec::new();
    for (accept, coding, body) in [
        ("gzip, deflate, br, zstd", "br", "BROTLI"),
        ("gzip, zstd", "zstd", "ZSTANDARD"),
        ("gzip", "gzip", "GZ"),
        ("br;q=0, gzip;q=0.1", "gzip", "GZ"),
        ("identity", "", "let a = 1;"),
        ("gzip;q=0", "", "let a = 1;"),
    ] {
        let answer = site.get(path, &[("accept-encoding", accept)]).await;
        assert_eq!(answer.field("content-encoding"), coding, "{accept}");
        assert_eq!(answer.body, body.as_bytes(), "{accept}");
        assert_eq!(answer.field("vary"), "Accept-Encoding");
        assert_eq!(
            answer.field("content-type"),
            "text/javascript; charset=utf-8"
        );
        tags.push(answer.field("etag").to_owned());
    }
    tags.dedup();
    assert_eq!(tags.len(), 4, "br, zstd, gzip, identity: {tags:?}");
    let part = site
        .get(path, &[("accept-encoding", "br"), ("range", "bytes=0-1")])
        .await;
    assert_eq!(
        (&part.body[..], part.field("content-range")),
        (&b"BR"[..], "bytes 0-1/6")
    );
    let itself = site
        .get(
            "/assets/index-DiwrgTda.js.gz",
            &[("accept-encoding", "gzip")],
        )
        .await;
    assert_eq!(itself.field("content-type"), "application/gzip");
    assert_eq!(
        (itself.field("content-encoding"), &itself.body[..]),
        ("", &b"GZ"[..])
    );
    assert_eq!(
        site.get("/", &[("accept-encoding", "br")])
            .await
            .field("vary"),
        ""
    );
}

#[tokio::test]
async fn a_neighbour_older_than_the_original_is_ignored() {
    let site = Site::new();
    fs::write(site.path("index.html.gz"), "OLD").unwrap();
    let neighbour = fs::File::options()
        .write(true)
        .open(site.path("index.html.gz"))
        .unwrap();
    neighbour
        .set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    let answer = site.get("/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(
        (answer.field("content-encoding"), &answer.body[..]),
        ("", &b"<h1>home</h1>"[..])
    );
}

#[tokio::test]
async fn an_empty_file_is_an_empty_answer() {
    let site = Site::new();
    fs::write(site.path("empty.txt"), "").unwrap();
    let answer = site.get("/empty.txt", &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.field("content-length")),
        (200, "0")
    );
    assert_eq!(
        site.get("/empty.txt", &[("range", "bytes=0-")])
            .await
            .status,
        416
    );
}
