//! What a path leads to, and what none leads to.

use super::*;

#[tokio::test]
async fn nothing_outside_the_folder_or_hidden_in_it_gets_out() {
    let site = Site::new();
    symlink("../secret.txt", site.path("relative")).unwrap();
    symlink(site.dir.path().join("secret.txt"), site.path("absolute")).unwrap();
    symlink("..", site.path("up")).unwrap();
    symlink("/", site.path("top")).unwrap();
    symlink("loop", site.path("loop")).unwrap();
    symlink("../secret.txt", site.path("index.html.gz")).unwrap();
    make_fifo(&site.path("fifo"));
    let socket = std::os::unix::net::UnixListener::bind(site.path("socket")).unwrap();
    for (path, status) in [
        ("/relative", 404),
        ("/absolute", 404),
        ("/up/secret.txt", 404),
        ("/up/", 404),
        ("/top/etc/passwd", 404),
        ("/fifo", 404),
        ("/socket", 404),
        ("/.env", 404),
        ("/assets/../.env", 404),
        ("/../secret.txt", 404),
        ("/..%2fsecret.txt", 404),
        ("/%2e%2e/secret.txt", 404),
        ("/..%5csecret.txt", 404),
        ("/assets/..%2f..%2f..%2fsecret.txt", 404),
        ("/a%00.html", 400),
        ("/a%zz", 400),
        ("/%", 400),
    ] {
        let answer = site.get(path, &[HTML]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("SECRET"),
            "{path}"
        );
    }
    // Without the fallback a loop and an over-long name are plain 404s too.
    let plain = folder(&site.path(""), None);
    for path in [
        "/loop".to_owned(),
        format!("/{}", "a".repeat(300)),
        "/a/".repeat(2000),
    ] {
        assert_eq!(send(&plain, "GET", &path, &[HTML]).await.status, 404);
    }
    let home = site.get("/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(home.body, b"<h1>home</h1>");
    drop(socket);
}

fn make_fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn made_up_paths_never_leave_the_folder() {
    const PIECES: [&str; 16] = [
        "..",
        ".",
        "/",
        "%2e",
        "%2F",
        "%5c",
        "up",
        "secret.txt",
        "dist",
        "assets",
        "//",
        "%25",
        "top",
        "%2e%2e/",
        "index.html",
        "../",
    ];
    let site = Site::new();
    symlink("..", site.path("up")).unwrap();
    symlink("/", site.path("top")).unwrap();
    let mut state: u64 = 7;
    let mut served = 0;
    for _ in 0..3000 {
        let mut path = String::from("/");
        for _ in 0..6 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            path.push_str(PIECES[(state >> 60) as usize]);
        }
        let answer = site.get(&path, &[]).await;
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("SECRET"),
            "{path}"
        );
        served += usize::from(answer.status == 200);
    }
    assert!(served > 0, "the loop must reach files as well");
}

#[tokio::test]
async fn links_inside_the_folder_and_the_folder_as_a_link_are_followed() {
    let site = Site::new();
    symlink("index.html", site.path("relative.html")).unwrap();
    symlink(site.path("index.html"), site.path("absolute.html")).unwrap();
    symlink("docs", site.path("manual")).unwrap();
    for path in ["/relative.html", "/absolute.html"] {
        assert_eq!(site.get(path, &[]).await.body, b"<h1>home</h1>", "{path}");
    }
    assert_eq!(site.get("/manual/", &[]).await.body, b"<h1>docs</h1>");
    let current = site.dir.path().join("current");
    symlink("dist", &current).unwrap();
    let folder = folder(&current, None);
    assert_eq!(send(&folder, "GET", "/", &[]).await.body, b"<h1>home</h1>");
}

#[tokio::test]
async fn a_name_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::new();
    fs::write(
        site.path("")
            .join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt")),
        "latin",
    )
    .unwrap();
    assert_eq!(site.get("/caf%e9.txt", &[]).await.body, b"latin");
}

#[tokio::test]
async fn a_folder_gets_its_slash_only_where_that_leads_somewhere() {
    let site = Site::new();
    for (path, location) in [
        ("/docs", "/docs/"),
        ("/docs?a=%2F&b", "/docs/?a=%2F&b"),
        ("//docs", "/docs/"),
    ] {
        let answer = site.get(path, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.field("location")),
            (301, location),
            "{path}"
        );
    }
    // `assets` has no index: a client-side route of that name wins.
    assert_eq!(site.get("/assets", &[HTML]).await.body, b"<h1>home</h1>");
    assert_eq!(site.get("/assets/", &[HTML]).await.body, b"<h1>home</h1>");
    let plain = folder(&site.path(""), None);
    assert_eq!(send(&plain, "GET", "/assets/", &[HTML]).await.status, 404);
    assert_eq!(
        send(&plain, "GET", "/index.html/", &[HTML]).await.status,
        404
    );
}

#[tokio::test]
async fn the_fallback_answers_navigations_only() {
    let site = Site::new();
    for path in ["/users/42", "/users/42/", "/search/a%2Fb", "/index.html/x"] {
        let answer = site.get(path, &[HTML]).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (200, &b"<h1>home</h1>"[..]),
            "{path}"
        );
        assert_eq!(answer.field("cache-control"), "no-cache");
    }
    for path in [
        "/assets/gone-DiwrgTdb.js",
        "/logo.png",
        "/style.css",
        "/app.js.map",
        "/x.json",
    ] {
        assert_eq!(site.get(path, &[HTML]).await.status, 404, "{path}");
    }
    let script = [("accept", "*/*"), ("sec-fetch-dest", "script")];
    assert_eq!(site.get("/users/42", &script).await.status, 404);
    assert_eq!(
        site.get("/users/42", &[("accept", "application/json")])
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn an_exact_route_answers_with_its_file() {
    let site = Site::new();
    let cache = Arc::new(Cache::default());
    let of_folder = Folder::new(
        &settings(&site.path(""), None),
        &FileRules::default(),
        ("/data.bin", true),
        cache.clone(),
    );
    let head = request("GET", "/data.bin", &[]);
    let answer = read(&head, of_folder.reply(&head, "").await);
    assert_eq!(answer.body.len(), 100);
    let link = site.dir.path().join("link.txt");
    symlink(site.path("data.bin"), &link).unwrap();
    let of_file = Folder::new(
        &settings(&link, None),
        &FileRules::default(),
        ("/anything", true),
        cache,
    );
    let head = request("GET", "/anything", &[]);
    for _ in 0..2 {
        let answer = read(&head, of_file.reply(&head, "").await);
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 100));
    }
}
