//! Who is neither on this machine nor a trusted proxy: it would say who the client is.

use std::process::Command;

use super::request;
use super::support::{Appliance, Project};

/// From the first argument, to the same address, at the second's port: the bytes of the third. Prints
/// how the answer begins.
const CLIENT: &str = r#"
import socket, sys

address, port, sent = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
client = socket.create_connection((address, port), 30, (address, 0))
answer = b""
try:
    client.sendall(sent)
    while chunk := client.recv(65536):
        answer += chunk
except (ConnectionResetError, BrokenPipeError):
    pass
print(answer[:12].decode())
"#;

/// In a network of its own, which has an address that is not a loopback one.
const NETWORK: &str = "ip link set lo up && ip address add 192.0.2.7/32 dev lo && exec \"$@\"";

#[test]
fn who_is_neither_here_nor_trusted_is_closed_and_said_in_the_log() {
    let sites = "[server]\ntrusted_proxies = [\"192.0.2.8\"]\n\n[[site]]\n\
                 listen = [\"127.0.0.1:0\", \"uwsgi://0.0.0.0:0\"]\n[site.routes]\n\"/\" = { respond = \"hello\" }\n";
    let project = Project::with_sites("application = print", "", sites);
    let serve = project.command("serve");
    let mut command = Command::new("unshare");
    command
        .args(["--net", "sh", "-c", NETWORK, "sh"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(project.path(""));
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut site = Appliance::spawn(project, command);
    site.wait_until_ready();
    let log = site.log();
    let port = log.split("listening on uwsgi://0.0.0.0:").nth(1).unwrap();
    let port = port.lines().next().unwrap().trim();
    let network = format!("--net=/proc/{}/ns/net", site.pid());
    let packet: String = request("GET", "/", &[])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let asked_from = |address: &str| {
        let output = Command::new("nsenter")
            .args([&network, "python3", "-c", CLIENT, address, port, &packet])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(asked_from("127.0.0.1"), "HTTP/1.1 200");
    assert_eq!(asked_from("192.0.2.7"), "");
    site.wait_for_log("a connection from 192.0.2.7 to a `uwsgi://` address was closed");
}
