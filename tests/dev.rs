//! `appliance dev`: changes are taken up, errors are shown, the front's development server is part
//! of the site.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

#[path = "dev/front.rs"]
mod front;

use std::fs;
use std::time::Duration;

use support::{Appliance, Finished, Load, Project, Response, eventually};

/// `/hello` is always the same; `/late` imports its module when it is asked for; what is left is
/// `views.py`'s.
const APP: &str = r#"
import views

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hello":
        body = b"hello"
    elif path == "/late":
        import late
        body = late.TEXT.encode()
    else:
        body = views.answer(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"#;

const VIEWS: &str = "def answer(environ):\n    return b\"one\"\n";

fn project() -> Project {
    let sites = "[[site]]\nlisten = [\"127.0.0.1:0\"]\n\n[site.routes]\n\
                 \"/\" = { wsgi = true }\n\"/files/\" = { files = \"files\" }\n";
    Project::with_sites(APP, "processes = 3\nthreads = 2", sites)
        .file("views.py", VIEWS)
        .file("late.py", "TEXT = 'early'\n")
        .file("files/page.txt", "a file")
}

/// `appliance dev`, ready.
#[track_caller]
fn develop(project: Project, arguments: &[&str]) -> Appliance {
    let mut command = project.command("dev");
    command.args(arguments);
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    site
}

fn save(site: &Appliance, file: &str, text: &str) {
    fs::write(site.project.path(file), text).unwrap();
}

fn saying(text: &str) -> String {
    VIEWS.replace("one", text)
}

#[track_caller]
fn wait_for_answer(site: &Appliance, path: &str, text: &str) {
    eventually(&format!("`{text}` at {path}"), || {
        (site.get(path).text() == text).then_some(())
    });
}

fn get_as_browser(site: &Appliance, path: &str, host: &str) -> Response {
    let mut connection = site.connect();
    connection.send(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html,*/*;q=0.8\r\n\r\n"
    ));
    connection.response()
}

fn reloads(site: &Appliance) -> usize {
    site.log().matches("reload: done in ").count()
}

#[test]
fn a_kept_connection_has_no_answer_of_the_code_before() {
    let site = develop(project(), &[]);
    for text in ["two", "six", "ten"] {
        let mut kept = site.connect();
        let before = kept.get("/").text().to_owned();
        save(&site, "views.py", &saying(text));
        wait_for_answer(&site, "/", text);
        // Nobody's hand is quicker.
        std::thread::sleep(Duration::from_millis(200));
        kept.try_send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        if let Some(answer) = kept.try_response() {
            assert_ne!(answer.text(), before);
        }
    }
}

#[test]
fn what_is_saved_is_served_and_no_request_is_lost_meanwhile() {
    let mut site = develop(project(), &[]);
    assert_eq!(
        site.workers().len(),
        1,
        "one worker, whatever the file says"
    );
    let load = Load::start(
        site.address(),
        &[("/hello", "hello"), ("/files/page.txt", "a file")],
    );
    // Two saves of the same size in the same second, too.
    for text in ["two", "six", "ten"] {
        save(&site, "views.py", &saying(text));
        wait_for_answer(&site, "/", text);
    }
    let counted = load.stop();
    assert!(counted.failed.is_empty(), "{counted:?}");
    assert!(counted.answered > 20, "{counted:?}");
    assert!(
        site.log().contains("reload: views.py changed\n"),
        "{}",
        site.log()
    );
    assert_eq!(site.stop(), 0);
}

#[test]
fn files_that_editors_replace_and_modules_that_are_imported_late_are_watched() {
    let site = develop(project(), &[]);
    save(&site, "views.py.new", &saying("new"));
    fs::rename(
        site.project.path("views.py.new"),
        site.project.path("views.py"),
    )
    .unwrap();
    wait_for_answer(&site, "/", "new");
    assert_eq!(site.get("/late").text(), "early");
    save(&site, "late.py", "TEXT = 'later'\n");
    wait_for_answer(&site, "/late", "later");
}

#[test]
fn a_burst_of_saves_is_few_reloads() {
    let site = develop(project(), &[]);
    for number in 0..50 {
        save(&site, "views.py", &saying(&format!("save {number}")));
        std::thread::sleep(Duration::from_millis(10));
    }
    wait_for_answer(&site, "/", "save 49");
    let reloads = reloads(&site);
    assert!((1..=6).contains(&reloads), "{reloads}:\n{}", site.log());
}

#[test]
fn what_nobody_has_imported_reloads_nothing_unless_it_is_asked_for() {
    let project = project()
        .file("data/words.txt", "a")
        .also("[dev]\nwatch = [\"data\"]\n");
    let site = develop(project, &[]);
    save(&site, "other.py", "x = 1\n");
    save(&site, "notes.txt", "x");
    save(&site, "views.py", &saying("two"));
    wait_for_answer(&site, "/", "two");
    save(&site, "data/words.txt", "b");
    site.wait_for_log("reload: data/words.txt changed\n");
    let log = site.log();
    assert!(
        !log.contains("other.py") && !log.contains("notes.txt"),
        "{log}"
    );
}

#[test]
fn code_that_cannot_be_imported_is_a_page_until_it_is_mended() {
    let site = develop(project(), &[]);
    save(&site, "views.py", "def answer(environ):\n    return <b>\n");
    eventually("traceback", || (site.get("/").status == 500).then_some(()));
    let text = site.get("/hello");
    assert_eq!(
        text.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(
        text.text().contains("views.py\", line 2"),
        "{}",
        text.text()
    );
    assert!(
        text.text().contains("SyntaxError: invalid syntax"),
        "{}",
        text.text()
    );
    let page = get_as_browser(&site, "/", "localhost:1");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.text().contains("return &lt;b&gt;"), "{}", page.text());
    assert!(!page.text().contains("<b>"), "{}", page.text());
    assert_eq!(site.get("/files/page.txt").text(), "a file");
    site.wait_for_log("the application cannot be imported; its routes show the traceback");
    // What it needs may be a file that was never there.
    save(&site, "views.py", "from words.more import answer\n");
    site.wait_for_log("No module named 'words'");
    fs::create_dir(site.project.path("words")).unwrap();
    save(&site, "words/more.py", &saying("mended"));
    wait_for_answer(&site, "/", "mended");
}

#[test]
fn a_start_with_broken_code_shows_it_as_well() {
    let site = develop(
        project().file("views.py", "import nothing_of_the_kind\n"),
        &[],
    );
    let answer = site.get("/");
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .contains("No module named 'nothing_of_the_kind'"),
        "{}",
        answer.text()
    );
    save(&site, "views.py", VIEWS);
    wait_for_answer(&site, "/", "one");
}

#[test]
fn the_project_file_is_taken_up_and_a_wrong_one_says_where() {
    let site = develop(project(), &[]);
    let file = site.project.path("project.toml");
    let good = fs::read_to_string(&file).unwrap();
    let more = format!("{good}\"/more\" = {{ respond = \"more\" }}\n");
    save(&site, "project.toml", &more);
    wait_for_answer(&site, "/more", "more");
    save(
        &site,
        "project.toml",
        &more.replace("threads = 2", "threads = 0"),
    );
    site.wait_for_log("`python.threads` must be from 1 to 1024, found `0`");
    site.wait_for_log("| threads = 0\n");
    site.wait_for_log("the reload failed; what served before serves on");
    assert_eq!(site.get("/more").text(), "more");
    save(&site, "project.toml", &more.replace("\"more\"", "\"much\""));
    wait_for_answer(&site, "/more", "much");
}

const RAISES: &str = "SECRET = 'hunter' + '2'\n\ndef answer(environ):\n    secret = SECRET\n    try:\n        {}['x']\n    except KeyError as error:\n        raise ValueError('<script>alert(1)</script>') from error\n";

#[test]
fn an_exception_is_a_page_with_the_source_and_without_values() {
    let site = develop(project().file("views.py", RAISES), &[]);
    let page = get_as_browser(&site, "/", "127.0.0.1:8000");
    assert_eq!(page.status, 500);
    let html = page.text();
    assert!(!html.contains("<script"), "{html}");
    for expected in [
        "<title>ValueError: &lt;script&gt;alert(1)&lt;/script&gt;</title>",
        "KeyError: &#39;x&#39;",
        "The above exception was the direct cause",
        "<details class=\"own\" open><summary><code>views.py</code>, line 8, in <code>answer</code>",
        "<mark><i>    8</i>          raise ValueError(",
    ] {
        assert!(html.contains(expected), "{expected} in {html}");
    }
    assert!(!html.contains("hunter2"), "{html}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = site.get("/");
    assert_eq!(text.status, 500);
    assert!(
        text.text()
            .starts_with("Traceback (most recent call last):"),
        "{}",
        text.text()
    );
    assert!(
        text.text()
            .trim_end()
            .ends_with("ValueError: <script>alert(1)</script>")
    );
    // A name that somebody else may own: a page of theirs would read it.
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ] {
        let answer = get_as_browser(&site, "/", foreign);
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("views.py"), "{}", answer.text());
    }
    assert!(site.log().contains("GET / 500 "), "{}", site.log());
}

#[test]
fn what_the_application_answers_by_itself_stays() {
    let views = "def answer(environ):\n    environ['x']\n";
    let app = APP.replace(
        "body = views.answer(environ)",
        "start_response('500 Own', []); return [b'own page']",
    );
    let site = develop(project().file("views.py", views).file("app.py", app), &[]);
    let page = get_as_browser(&site, "/", "localhost");
    assert_eq!((page.status, page.text()), (500, "own page"));
}

#[test]
fn a_served_project_shows_nothing_of_all_that() {
    let site = project()
        .file("views.py", RAISES)
        .also("[dev]\nfront = \"http://127.0.0.1:1\"\ncommand = [\"/nowhere\"]\n")
        .start();
    let page = get_as_browser(&site, "/", "localhost");
    assert_eq!(page.status, 500);
    for secret in ["views.py", "ValueError", "Traceback"] {
        assert!(!page.text().contains(secret), "{}", page.text());
    }
    save(&site, "views.py", VIEWS);
    std::thread::sleep(Duration::from_millis(600));
    assert!(!site.log().contains("reload"), "{}", site.log());
    assert_eq!(site.workers().len(), 3);
}

#[test]
fn other_machines_are_let_in_on_purpose_alone() {
    let remote = || {
        let text = fs::read_to_string(project().path("project.toml")).unwrap();
        project().file("project.toml", text.replace("127.0.0.1:0", "0.0.0.0:0"))
    };
    let refused = Finished::of(remote().command("dev"));
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains(
            "`0.0.0.0:0` is open to other machines, which would see tracebacks and source code"
        ),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("--listen 127.0.0.1:0"),
        "{}",
        refused.stderr
    );
    let site = develop(remote(), &["--allow-remote"]);
    assert_eq!(site.get("/hello").text(), "hello");
    drop(site);
    let site = develop(remote(), &["--listen", "0"]);
    assert!(site.address().ip().is_loopback());
}

#[test]
fn what_belongs_to_production_is_left_aside() {
    let text = fs::read_to_string(project().path("project.toml")).unwrap();
    let server = "[server]\nuser = \"nobody-of-this-name\"\nlog = \"/nowhere/log\"\npidfile = \"/nowhere/pid\"\n\
                  daemonize = \"/nowhere/out\"\nadmin = \"0.0.0.0:0\"\nlog_level = \"error\"\n\n";
    let site = "error_pages = { \"5xx\" = \"/nowhere/50x.html\" }\nrate_limit = \"1/m\"\naccess_log = \"/nowhere/access\"\n\
                tls = { certificate = \"/nowhere/cert\", key = \"/nowhere/key\" }\n\n[site.routes]";
    let text = format!("{server}{}", text.replace("[site.routes]", site));
    let site = develop(
        project().file("project.toml", text),
        &["--listen", "127.0.0.1:0"],
    );
    for _ in 0..3 {
        assert_eq!(site.get("/hello").text(), "hello");
    }
    site.wait_for_log("GET /hello 200 ");
}

#[test]
fn a_command_line_without_sense_says_so() {
    let empty = Project::new("").file("x", "");
    let mut nothing = empty.command("dev");
    nothing.arg("--listen").arg("elsewhere");
    let finished = Finished::of(nothing);
    assert_eq!(finished.status, 2);
    assert!(
        finished
            .stderr
            .contains("neither a port nor an address such as 127.0.0.1:8000"),
        "{}",
        finished.stderr
    );
    fs::remove_file(empty.path("project.toml")).unwrap();
    let finished = Finished::of(empty.command("dev"));
    assert_eq!(finished.status, 1);
    assert!(
        finished.stderr.contains("no such file"),
        "{}",
        finished.stderr
    );
    for (front, said) in [
        ("127.0.0.1:5173", "127.0.0.1:5173"),
        ("http://127.0.0.1:5173/app", "http://127.0.0.1:5173/app"),
        ("uwsgi://127.0.0.1:5173", "uwsgi://127.0.0.1:5173"),
    ] {
        let project = project();
        let mut command = project.command("dev");
        command.args(["--front", front]);
        let finished = Finished::of(command);
        assert_eq!(finished.status, 1, "{}", finished.stderr);
        assert!(finished.stderr.contains(said), "{}", finished.stderr);
        assert_eq!(
            finished.stderr.matches("error:").count(),
            1,
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn a_syntax_error_that_a_request_meets_is_the_heading() {
    let site = develop(project().file("late.py", "def broken(:\n"), &[]);
    let page = get_as_browser(&site, "/late", "localhost");
    let text = page.text();
    for part in ["<title>SyntaxError: ", "<h1>SyntaxError: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
