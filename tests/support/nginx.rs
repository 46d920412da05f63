//! A real nginx, with a folder and ports of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::appliance::{eventually, send_signal};

/// The article's nginx.conf, as it stands there.
pub const ARTICLE: &str = include_str!("../article/nginx.conf");

/// The two ports that the article's nginx.conf listens on.
const SITE: &str = "listen 80 default_server;";
const BACKEND: &str = "listen 8000;";

/// A running nginx. Stopped, and its log shown if the test panics, when dropped.
pub struct Nginx {
    child: Child,
    folder: TempDir,
    /// Where the article's front is (`listen 80`).
    pub site: SocketAddr,
    /// Where its application is (`listen 8000`).
    pub backend: SocketAddr,
}

impl Nginx {
    /// With the article's nginx.conf, in which is replaced what a test has no right to or cannot
    /// have twice on a machine:
    ///
    /// - `user nobody` (the test's folders are its own), both ports, and the folder of temporary bodies;
    /// - the folder `/home/user/maproject`, by `project`;
    /// - the address behind `uwsgi_pass`, by `uwsgi`.
    ///
    /// `further` is put at the end of the second server, for what the article has no place for.
    #[track_caller]
    pub fn of_the_article(project: &Path, uwsgi: &str, further: &str) -> Nginx {
        let (site, backend) = (free_address(), free_address());
        let replaced = [
            ("user nobody;", "user root;".to_owned()),
            (SITE, format!("listen {site} default_server;")),
            (BACKEND, format!("listen {backend};\n{further}")),
            ("/dev/shm/client_body_temp", "temp/body".to_owned()),
            ("/home/user/maproject", project.display().to_string()),
            ("127.0.0.1:8080", uwsgi.to_owned()),
        ];
        let conf = replaced
            .iter()
            .fold(ARTICLE.to_owned(), |conf, (from, to)| {
                assert!(conf.contains(from), "the article says `{from}`");
                conf.replace(from, to)
            });
        Nginx::start(&conf, site, backend)
    }

    #[track_caller]
    fn start(conf: &str, site: SocketAddr, backend: SocketAddr) -> Nginx {
        let folder = tempfile::Builder::new()
            .prefix("appliance-nginx-")
            .tempdir()
            .unwrap();
        for name in ["conf", "logs", "temp", "html"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["mime.types", "uwsgi_params"] {
            let from = PathBuf::from("/etc/nginx").join(name);
            fs::copy(&from, folder.path().join("conf").join(name))
                .unwrap_or_else(|error| panic!("{}: {error}; install nginx-light", from.display()));
        }
        // Where it was built, these are system folders.
        let temporary = ["uwsgi", "proxy", "fastcgi", "scgi"]
            .map(|name| format!("    {name}_temp_path temp/{name};\n"))
            .concat();
        let conf = conf.replacen("http {\n", &format!("http {{\n{temporary}"), 1);
        fs::write(folder.path().join("conf/nginx.conf"), conf).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .args([
                "-c",
                "conf/nginx.conf",
                "-e",
                "logs/error.log",
                "-g",
                "daemon off;",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed (nginx-light)");
        let mut nginx = Nginx {
            child,
            folder,
            site,
            backend,
        };
        eventually("nginx", || {
            let ended = nginx.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "it did not start:\n{}",
                nginx.log("error.log")
            );
            TcpStream::connect(nginx.backend).ok()
        });
        nginx
    }

    /// Puts a file where `root html` is.
    pub fn add_page(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("html").join(name), text).unwrap();
    }

    /// One of its logs.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("logs").join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Killed, it would leave its worker behind.
            send_signal(i32::try_from(self.child.id()).unwrap(), libc::SIGTERM);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- nginx's log\n{}---", self.log("error.log"));
        }
    }
}

/// For a program that cannot say which port it was given: one that has just been free.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
