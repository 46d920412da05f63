//! What is kept in memory, and when a change on disk is seen.

use super::*;

#[tokio::test]
async fn a_deployment_is_seen_within_a_second() {
    let site = Site::new();
    let bound = Duration::from_millis(1300);
    site.get("/", &[]).await;
    // Same length, same modification time: only the inode's change time tells.
    let before = fs::metadata(site.path("index.html"))
        .unwrap()
        .modified()
        .unwrap();
    fs::write(site.path("new.html"), "<h1>HOME</h1>").unwrap();
    let new = fs::File::options()
        .write(true)
        .open(site.path("new.html"))
        .unwrap();
    new.set_modified(before).unwrap();
    let tag = site.get("/", &[]).await.field("etag").to_owned();
    fs::rename(site.path("new.html"), site.path("index.html")).unwrap();
    assert!(
        site.until("/", |answer| answer.body == b"<h1>HOME</h1>")
            .await
            < bound
    );
    assert_ne!(site.get("/", &[]).await.field("etag"), tag);
    fs::write(site.path("index.html.br"), "BR").unwrap();
    assert!(
        site.until("/", |answer| answer.field("vary") == "Accept-Encoding")
            .await
            < bound
    );
    fs::remove_file(site.path("data.bin")).unwrap();
    site.get("/data.bin", &[]).await;
    assert!(site.until("/data.bin", |answer| answer.status == 404).await < bound);
    fs::rename(site.path(""), site.dir.path().join("old")).unwrap();
    assert!(site.until("/", |answer| answer.status == 404).await < bound);
}

#[tokio::test]
async fn a_small_cache_serves_everything_and_forgets() {
    let site = Site::new();
    let cache = Arc::new(Cache::new(64 << 10));
    let folder = Folder::new(
        &settings(&site.path(""), None),
        &FileRules::default(),
        ("/", false),
        cache,
    );
    for round in 0..2 {
        for number in 0..100 {
            let name = format!("f{number}.txt");
            if round == 0 {
                fs::write(site.path(&name), format!("{number}").repeat(1000)).unwrap();
            }
            let answer = send(&folder, "GET", &format!("/{name}"), &[]).await;
            assert_eq!(
                answer.body,
                format!("{number}").repeat(1000).as_bytes(),
                "{name}"
            );
        }
    }
}

/// Where the bytes of a body are, so that two can be told to be the same ones.
fn whereabouts(response: &Response) -> usize {
    match &response.body {
        Body::Empty => panic!("no body"),
        Body::Memory(bytes) | Body::Page(bytes, _) => bytes.as_ptr().addr(),
        Body::File(part) => Arc::as_ptr(&part.file).addr(),
    }
}

/// A site with two files under absolute links, which are never looked up on the front's thread,
/// whatever the kernel has in memory.
fn site_of_the_pool() -> Site {
    let site = Site::new();
    for (name, len) in [("small", 20_000), ("large", 300_000)] {
        fs::write(site.path(name), vec![b'x'; len]).unwrap();
        symlink(site.path(name), site.path(&format!("{name}.bin"))).unwrap();
    }
    site
}

#[tokio::test]
async fn a_file_that_many_want_at_once_is_read_once() {
    let Site { folder, dir } = site_of_the_pool();
    let folder = Arc::new(folder);
    for name in ["small.bin", "large.bin"] {
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let folder = Arc::clone(&folder);
                let head = request("GET", &format!("/{name}"), &[]);
                tokio::spawn(async move { folder.reply(&head, name).await })
            })
            .collect();
        let mut responses = Vec::new();
        for client in clients {
            responses.push(client.await.unwrap());
        }
        let first = whereabouts(&responses[0]);
        for response in &responses {
            assert_eq!(response.head.status, StatusCode::OK);
            assert_eq!(whereabouts(response), first, "{name}");
        }
    }
    // What all of them got is believed no longer than anything else.
    fs::remove_file(dir.path().join("dist/small")).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let head = request("GET", "/small.bin", &[]);
    let outdated = folder.reply(&head, "small.bin").await;
    assert_eq!(outdated.head.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_reads_a_file_for_others_may_leave() {
    let site = site_of_the_pool();
    let head = request("GET", "/large.bin", &[]);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut leader = Box::pin(site.folder.reply(&head, "large.bin"));
    let mut next = Box::pin(site.folder.reply(&head, "large.bin"));
    let mut last = Box::pin(site.folder.reply(&head, "large.bin"));
    assert!(leader.as_mut().poll(&mut context).is_pending());
    assert!(next.as_mut().poll(&mut context).is_pending());
    assert!(last.as_mut().poll(&mut context).is_pending());
    drop(leader);
    let both = async { (next.await, last.await) };
    let both = tokio::time::timeout(Duration::from_secs(10), both);
    let (next, last) = both.await.expect("somebody takes over");
    assert_eq!(next.head.status, StatusCode::OK);
    assert_eq!(whereabouts(&next), whereabouts(&last));
}
