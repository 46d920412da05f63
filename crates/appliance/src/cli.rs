//! Commands, flags and exit statuses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// One binary in place of nginx + uWSGI: serves a single-page front and a Python WSGI application
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What stands at the end of a command's help: examples of its own, and how it ends.
macro_rules! examples {
    ($($line:literal)+) => {
        concat!(
            "Examples:\n",
            $("  ", $line, "\n",)+
            "\n\
Exit status:
  0  done; stopped as asked
  1  the project file is wrong
  2  the command line is wrong
  3  the server did not start or reload: Python, a hook, an address or the application
  4  stopped, but requests were cut off when `server.stop_timeout` had passed
  5  no server of this project is running"
        )
    };
}

const AFTER_HELP: &str = examples!(
    "appliance serve                                  serve ./project.toml"
    "appliance serve shop.toml --set python.threads=8"
    "appliance dev                                    the same for developing: changes reload"
    "appliance check shop.toml --show                 every setting, and who set it"
    "appliance reload shop.toml                       take up new code and settings"
    "appliance top shop.toml                          workers, and what requests are at"
    "appliance init && appliance doctor               a project file, and what is wrong"
    "appliance import nginx.conf uwsgi.ini            one project file of two configurations"
    "./appliance-2 upgrade shop.toml                  let the server become this binary"
);

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a project until TERM, INT or QUIT
    ///
    /// Creates the virtualenv and installs the requirements if `python.requirements` is set and
    /// something changed, runs the hooks, starts the workers, replaces those that die. A stop
    /// lets running requests finish within `server.stop_timeout`; a second TERM or INT ends
    /// them at once.
    #[command(after_help = examples!(
        "appliance serve                                  serve ./project.toml"
        "appliance serve shop.toml --set python.threads=8"
        "appliance serve --no-supervisor                  one process, for a debugger"
    ))]
    Serve {
        #[command(flatten)]
        project: ProjectArgs,
        /// Become the one worker instead of watching `python.processes` of them
        ///
        /// The same as `server.master = false`: for debuggers, and for platforms that restart
        /// containers themselves.
        #[arg(long)]
        no_supervisor: bool,
        /// What another binary hands over
        #[arg(long, hide = true)]
        handover: Option<i32>,
    },
    /// Serve a project to whoever develops it: changes reload, errors are shown
    ///
    /// Like `serve`, in the foreground, with one worker and no privileges. When a module changes that the
    /// application has imported, or the project file, the server reloads; an exception is a page
    /// with its traceback, and so is an application that cannot be imported. Each request is a line.
    /// Settings of production (users, log files, error pages, rate limits) are left aside.
    #[command(after_help = examples!(
        "appliance dev                                    ./project.toml"
        "appliance dev --listen 8000                      http://127.0.0.1:8000 instead"
        "appliance dev --front http://127.0.0.1:5173      `/` from Vite, hot updates included"
    ))]
    Dev {
        #[command(flatten)]
        project: ProjectArgs,
        /// Where to listen instead: a port of this machine alone, or an address
        #[arg(long, value_name = "ADDRESS", value_parser = listen)]
        listen: Option<String>,
        /// Let other machines in where the project file does: they see tracebacks and source code
        #[arg(long)]
        allow_remote: bool,
        /// The front's development server, in the place of its files (`dev.front`)
        #[arg(long, value_name = "URL")]
        front: Option<String>,
    },
    /// See whether this binary could serve the project
    ///
    /// Installs packages, runs the hooks and has one worker import the application, without
    /// serving anything. An upgrade begins with it.
    #[command(after_help = examples!(
        "appliance rehearse shop.toml"
        "appliance rehearse --set 'hooks.before_start=[]'  without a database, as for an image"
    ))]
    Rehearse {
        #[command(flatten)]
        project: ProjectArgs,
        /// The form in which a running server would be handed over
        #[arg(long, hide = true)]
        handover_version: Option<u32>,
    },
    /// Let a running server take up new code, packages and settings
    ///
    /// The project file, requirements and hooks are read and run anew, and workers started beside
    /// those that serve. When all of them have imported the application, they take over and the
    /// old ones finish their requests. If anything fails, this command says what, and what served
    /// serves on. SIGHUP does the same.
    #[command(after_help = examples!(
        "appliance reload                                 the server of ./project.toml"
        "appliance reload shop.toml || echo refused        what served serves on"
    ))]
    Reload {
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Let a running server open its log files anew
    ///
    /// For whatever moves them away, such as logrotate: lines go to the old file until then, and
    /// none is lost. SIGUSR1 does the same.
    #[command(after_help = examples!(
        "mv shop.log shop.log.1 && appliance reopen shop.toml"
    ))]
    Reopen {
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Let a running server become another binary
    ///
    /// The new binary rehearses first, beside what serves. Then it takes over process, sockets and
    /// workers, starts workers of its own, and lets the old ones finish their requests. If it
    /// cannot, the old binary goes on. SIGUSR2 does the same with the binary that is now where the
    /// server was started from.
    #[command(after_help = examples!(
        "./appliance-2 upgrade shop.toml                  let the server become this binary"
        "appliance upgrade --binary /opt/appliance-1      or that one"
    ))]
    Upgrade {
        #[command(flatten)]
        project: ProjectArgs,
        /// The new binary; this one if left out
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// Have every request answered 503, or no longer
    ///
    /// Every worker does so at once, and those that start later, after reloads and upgrades too. A
    /// server that is stopped and started again has no maintenance. `maintenance_page` of a site or
    /// route is what visitors see, `maintenance_allow` who is served all the same; the admin
    /// listener answers as ever.
    #[command(after_help = examples!(
        "appliance maintenance on"
        "appliance maintenance off shop.toml"
    ))]
    Maintenance {
        #[arg(value_name = "on|off")]
        word: Switch,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Stop a running server; asked again, at once
    ///
    /// Lets running requests finish within `server.stop_timeout` and returns when the server is
    /// gone. SIGTERM and SIGINT do the same.
    #[command(after_help = examples!(
        "appliance stop                                   the server of ./project.toml"
        "appliance stop shop.toml"
    ))]
    Stop {
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Stop a running server, however often asked never at once
    ///
    /// SIGQUIT does the same.
    #[command(after_help = examples!(
        "appliance quit shop.toml"
    ))]
    Quit {
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Say how a running server and its workers fare
    #[command(after_help = examples!(
        "appliance status shop.toml"
        "appliance status --json | jq .workers"
        "appliance status --ready && echo it serves"
    ))]
    Status {
        #[command(flatten)]
        project: ProjectArgs,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        /// Print nothing: status 0 if the application's requests are answered, 3 if not, 5 without
        /// a server
        ///
        /// For health checks of containers. True during a reload, too.
        #[arg(long, conflicts_with = "json")]
        ready: bool,
    },
    /// Watch a running server, its workers and what each request is at
    ///
    /// Workers with processor time, memory, queue, requests per second and latency; running
    /// requests with URL, age and the Python line they are at. Keys write a traceback to the log,
    /// recycle or drain a worker, or reload; `?` lists them. URLs are shown whole, whatever secrets
    /// they hold. NO_COLOR is heeded.
    #[command(after_help = TOP_HELP)]
    Top {
        #[command(flatten)]
        project: ProjectArgs,
        /// Print one frame, of what happens in one interval, and leave
        #[arg(long)]
        once: bool,
        /// Seconds between two looks
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
        interval: Duration,
    },
    /// Check a project file and print everything that is wrong with it
    #[command(after_help = examples!(
        "appliance check                                  ./project.toml"
        "appliance check shop.toml --show                 every setting, and who set it"
    ))]
    Check {
        #[command(flatten)]
        project: ProjectArgs,
        /// Print the settings in force, each with the layer it came from
        #[arg(long)]
        show: bool,
    },
    /// Write a project file for a folder, by what lies there
    ///
    /// Finds Django by its manage.py, Flask and other WSGI applications by their modules, virtual
    /// environments and requirements, built fronts, and what Django's settings say about static
    /// files. Nothing is run. Says what it found, and what has to be done before it serves.
    #[command(after_help = INIT_HELP)]
    Init {
        /// The project's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Replace a project file that is there
        #[arg(long)]
        force: bool,
    },
    /// Name the traps of a deployment that a project has fallen into
    ///
    /// Debugging, default secrets, static files that nobody collected or serves, threads against
    /// database connections, owners, ports, open files, the clock. Imports the application in the
    /// project's own Python, as a worker would, and changes nothing.
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Print what completes this command line in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages, one for each command
    #[command(after_help = MAN_HELP)]
    Man {
        /// The folder for them, which is there
        folder: PathBuf,
    },
    /// Make one project file of nginx.conf, uwsgi.ini and the like
    ///
    /// Reads what belongs to one site: nginx.conf with its includes, uwsgi.ini, .xml, .yaml or
    /// .json, systemd units that start uWSGI or gunicorn, NGINX Unit's JSON. The project file goes
    /// to standard output or `--output`, and to standard error what became of every directive.
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// Configurations that belong to one site, in any order
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Write the project file here
        #[arg(long, short, value_name = "PROJECT")]
        output: Option<PathBuf>,
        /// Replace a project file that is there
        #[arg(long, requires = "output")]
        force: bool,
    },
}

const IMPORT_HELP: &str = "\
Examples:
  appliance import /etc/nginx/nginx.conf uwsgi.ini
  appliance import nginx.conf gunicorn.service --output project.toml
  appliance import unit.json > project.toml

Exit status:
  0  written; what could not be carried over stands in the report and at the file's end
  1  a file cannot be read or understood, or the result needs a hand before it serves
  2  the command line is wrong";

const TOP_HELP: &str = "\
Examples:
  appliance top shop.toml
  ssh -t shop.example appliance top /srv/shop/project.toml
  appliance top shop.toml --once --interval 5      one frame, for a file or a pipe

Exit status:
  0  the user has left, or the frame is printed
  2  the command line is wrong, or there is no terminal
  3  the server did not answer
  5  no server of this project is running";

/// A port alone is one of this machine, not of all its addresses.
fn listen(text: &str) -> Result<String, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string());
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err("neither a port nor an address such as 127.0.0.1:8000".to_owned()),
    }
}

/// From a tenth of a second, so that watching is no load, to an hour.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    match (0.1..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("must be from 0.1 to 3600".to_owned()),
    }
}

const COMPLETIONS_HELP: &str = "\
Examples:
  appliance completions bash > /usr/share/bash-completion/completions/appliance
  appliance completions zsh > ~/.zfunc/_appliance";

const MAN_HELP: &str = "\
Examples:
  appliance man /usr/local/share/man/man1";

const INIT_HELP: &str = "\
Examples:
  appliance init                                   write ./project.toml
  appliance init /srv/shop --force                 write it anew

Exit status:
  0  written
  1  there is nothing to serve, or a project file already
  2  the command line is wrong";

const DOCTOR_HELP: &str = "\
Examples:
  appliance doctor                                 look over ./project.toml
  sudo -u shop appliance doctor shop.toml          as the user who serves it

Exit status:
  0  no problems; there may be advice
  1  problems, or the project file is wrong
  2  the command line is wrong";

/// One or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    /// From now on.
    On,
    /// No longer.
    Off,
}

/// Which project, with which changes.
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    /// The project file
    #[arg(value_name = "PROJECT", default_value = "project.toml")]
    pub(crate) file: PathBuf,
    /// Override a setting, such as `python.processes=8`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
}

/// How the process ends. The numbers are a promise: units and scripts look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// Done, or stopped as asked.
    Done = 0,
    /// The project file is wrong.
    BadProject = 1,
    /// The command line is wrong; mostly clap says so.
    BadCommand = 2,
    /// The server did not start or reload.
    NotStarted = 3,
    /// Requests were cut off when `server.stop_timeout` had passed.
    Overdue = 4,
    /// No server of this project is running.
    NotRunning = 5,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

/// The environment; what is not UTF-8 cannot be a setting.
pub(crate) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let help = command.clone().render_long_help().to_string();
            let (_, examples) = help
                .split_once("\nExamples:\n")
                .unwrap_or_else(|| panic!("`{name}` has no examples: see `examples!`"));
            let used = examples
                .lines()
                .take_while(|line| !line.is_empty())
                .any(|line| line.contains("appliance") && line.contains(&format!(" {name}")));
            assert!(used, "no example of `{name}` uses it:\n{examples}");
        }
    }
}
