//! A page's commands, run for real, one after the other, in a folder of their own that holds what the
//! page has shown so far.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::page::{Block, Page};
use crate::support::{Appliance, Finished, Project, test_interpreter};

/// Pages say this, where a test must not.
const ADDRESS: &str = "127.0.0.1:8080";

pub(crate) struct Story {
    folder: Project,
    /// Where the page's reader is.
    at: PathBuf,
    server: Option<Appliance>,
    /// What the last block has printed.
    output: String,
    commands: usize,
}

/// Follows the page and returns how many of its commands were run.
pub(crate) fn follow(page: &Page) -> usize {
    let folder = Project::new("");
    fs::remove_file(folder.path("project.toml")).unwrap();
    fs::create_dir(folder.path("bin")).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_appliance"),
        folder.path("bin/appliance"),
    )
    .unwrap();
    let mut story = Story {
        at: folder.path("here"),
        folder,
        server: None,
        output: String::new(),
        commands: 0,
    };
    fs::create_dir(&story.at).unwrap();
    for block in &page.blocks {
        story.tell(block);
    }
    if let Some(mut server) = story.server.take() {
        assert_eq!(server.stop(), 0, "{}", server.log());
    }
    story.commands
}

impl Story {
    fn tell(&mut self, block: &Block) {
        match (&*block.language, &*block.about) {
            ("sh", "") => {
                self.output.clear();
                for command in commands(&block.text) {
                    self.run(&command, &block.place());
                    self.commands += 1;
                }
            }
            ("text", "output") => self.compare(block),
            (_, name) if name.contains('.') && !name.starts_with("by=") => {
                let path = self.at.join(name);
                if let Ok(made) = fs::read_to_string(&path)
                    && block.language == "toml"
                {
                    // Shown after a command has written it.
                    let (made, shown) = (without_comments(&made), without_comments(&block.text));
                    assert_eq!(made, shown, "{}", block.place());
                    return;
                }
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &block.text).unwrap();
            }
            _ => {}
        }
    }

    fn run(&mut self, command: &str, place: &str) {
        if let Some(folder) = command.strip_prefix("cd ") {
            self.at = self.at.join(folder.trim());
            assert!(
                self.at.is_dir(),
                "{place}: there is no {}",
                self.at.display()
            );
            return;
        }
        if command.starts_with("appliance serve") || command.starts_with("appliance dev") {
            return self.serve(command, place);
        }
        let address = self.server.as_ref().map(|server| server.address());
        let said = match address {
            Some(address) => command.replace(ADDRESS, &address.to_string()),
            None => command.to_owned(),
        };
        // In the order in which a reader sees it.
        let finished = Finished::of(self.shell(&format!("exec 2>&1\n{said}")));
        assert_eq!(finished.status, 0, "{place}: {command}: {finished:?}");
        self.output += &finished.stdout;
        if command.starts_with("appliance stop") || command.starts_with("appliance quit") {
            assert_eq!(self.server.take().map(|mut server| server.wait()), Some(0));
        }
    }

    /// A server of the page goes on until the page stops it, starts another one or ends.
    fn serve(&mut self, command: &str, place: &str) {
        if let Some(mut before) = self.server.take() {
            assert_eq!(before.stop(), 0, "{place}: {}", before.log());
        }
        let shell = self.shell(&format!("exec {command} --set site.0.listen=127.0.0.1:0"));
        // The fixture wants a project; this one's folder is the story's.
        let mut server = Appliance::spawn(Project::new(""), shell);
        server.wait_until_ready();
        self.server = Some(server);
    }

    fn shell(&self, command: &str) -> Command {
        let python = test_interpreter();
        let path = [
            self.folder.path("bin"),
            python.parent().unwrap_or(Path::new("/")).to_owned(),
        ];
        let rest = std::env::var("PATH").unwrap();
        let path = path.map(|folder| folder.display().to_string()).join(":");
        let mut shell = Command::new("sh");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("APPLIANCE_")) {
            shell.env_remove(name);
        }
        shell
            .args(["-ec", command])
            .current_dir(&self.at)
            .env_remove("NO_COLOR")
            .env("HOME", self.folder.path(""))
            // Control sockets lie here: no test meets another's.
            .env("XDG_RUNTIME_DIR", self.folder.path(""))
            .env("RUNTIME_DIRECTORY", self.folder.path(""))
            .env("PATH", format!("{path}:{rest}"));
        shell
    }

    /// What a page says that its last commands print: line by line, `…` standing for anything.
    fn compare(&self, block: &Block) {
        let mut rest = self.output.lines();
        for wanted in block.text.lines().filter(|line| !line.trim().is_empty()) {
            let parts: Vec<&str> = wanted.split('…').map(str::trim).collect();
            assert!(
                rest.any(|line| holds(line, &parts)),
                "{}: nobody prints `{wanted}`, but\n{}",
                block.place(),
                self.output
            );
        }
    }
}

fn without_comments(toml: &str) -> Vec<&str> {
    let lines = toml.lines().map(|line| match line.find(" #") {
        Some(at) => line[..at].trim(),
        None => line.trim(),
    });
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// Whether a line has these parts, in this order.
fn holds(line: &str, parts: &[&str]) -> bool {
    let mut rest = line;
    parts.iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The commands of a block: lines, joined where a backslash says so, without comments.
pub(crate) fn commands(text: &str) -> Vec<String> {
    text.replace("\\\n", " ")
        .lines()
        .map(|line| line.split(" # ").next().unwrap().trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
