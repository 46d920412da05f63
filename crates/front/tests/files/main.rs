//! Static files through the public interface: a folder on disk, a request in, a response out.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod answers;
mod cache;
mod paths;

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use appliance_front::files::{Cache, Folder};
use appliance_front::{Body, Response};
use appliance_message::{Head, Limits, parse};
use appliance_project::model::{FileRules, Files, Immutable};
use http::StatusCode;
use tempfile::TempDir;

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// A folder with a single-page front in it, and what should never get out beside it.
struct Site {
    dir: TempDir,
    folder: Folder,
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> &str {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let dist = dir.path().join("dist");
        fs::create_dir_all(dist.join("assets")).unwrap();
        fs::create_dir(dist.join("docs")).unwrap();
        fs::write(dist.join("index.html"), "<h1>home</h1>").unwrap();
        fs::write(dist.join("docs/index.html"), "<h1>docs</h1>").unwrap();
        fs::write(dist.join("assets/index-DiwrgTda.js"), "let a = 1;").unwrap();
        fs::write(dist.join("data.bin"), (0..100).collect::<Vec<u8>>()).unwrap();
        fs::write(dist.join(".env"), "SECRET").unwrap();
        fs::write(dir.path().join("secret.txt"), "SECRET").unwrap();
        let folder = folder(&dist, Some("/index.html"));
        Site { dir, folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("dist").join(name)
    }

    async fn send(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        send(&self.folder, method, path, fields).await
    }

    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send("GET", path, fields).await
    }

    /// Repeats a GET until the answer is as wanted: staleness is bounded by a second.
    async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Duration {
        let start = Instant::now();
        loop {
            let answer = self.get(path, &[HTML]).await;
            if wanted(&answer) {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{path}: {}",
                answer.status
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn folder(root: &Path, fallback: Option<&str>) -> Folder {
    Folder::new(
        &settings(root, fallback),
        &FileRules::default(),
        ("/", false),
        Arc::new(Cache::default()),
    )
}

fn settings(root: &Path, fallback: Option<&str>) -> Files {
    Files {
        root: root.to_owned(),
        fallback: fallback.map(str::to_owned),
        extensions: Vec::new(),
        then_wsgi: false,
        index: vec!["index.html".to_owned()],
        immutable: Immutable::Hashed,
    }
}

async fn send(folder: &Folder, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let head = request(method, path, fields);
    let below = path.split('?').next().unwrap().strip_prefix('/').unwrap();
    read(&head, folder.reply(&head, below).await)
}

fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Head {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let limits = Limits {
        bytes: 64 << 10,
        fields: 100,
    };
    parse(text.as_bytes(), &mut 0, limits).unwrap().unwrap().0
}

fn read(request: &Head, response: Response) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let fields = response.head.fields.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (text(name).to_lowercase(), text(value)))
        .collect();
    let length = response.head.length.unwrap_or(0);
    fields.push(("content-length".to_owned(), length.to_string()));
    let body = match response.body {
        _ if request.method == "HEAD" => Vec::new(),
        Body::Empty => Vec::new(),
        Body::Memory(bytes) | Body::Page(bytes, _) => bytes.to_vec(),
        Body::File(part) => {
            let mut bytes = vec![0; part.len as usize];
            part.file.read_exact_at(&mut bytes, part.offset).unwrap();
            bytes
        }
    };
    Answer {
        status: response.head.status,
        fields,
        body,
    }
}
