//! What is served over TLS is what is served without.

use std::io::Write;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::version::TLS12;

use crate::client::{Client, run};
use crate::{Authority, project, server};

/// Bytes that show where they belong.
fn counted(len: usize) -> Vec<u8> {
    (0u32..).flat_map(u32::to_le_bytes).take(len).collect()
}

#[test]
fn application_and_files_over_one_connection() {
    let (server, client) = server("");
    let mut connection = client.open(server.address());
    for _ in 0..3 {
        let environ = connection.get("/environ?a=1");
        assert_eq!(environ.status, 200, "{}", environ.head);
        for says in [
            r#""wsgi.url_scheme": "https""#,
            r#""HTTPS": "on""#,
            r#""SSL_PROTOCOL": "TLSv1.3""#,
            r#""SSL_CIPHER": "TLS_"#,
            r#""SSL_SERVER_NAME": "localhost""#,
            r#""SSL_CLIENT_VERIFY": "NONE""#,
            r#""QUERY_STRING": "a=1""#,
        ] {
            assert!(environ.text().contains(says), "{says}: {}", environ.text());
        }
        assert_eq!(connection.get("/files/small.txt").body, b"a small file\n");
        assert_eq!(connection.get("/files/none.txt").status, 404);
    }
    connection.send("HEAD /files/small.txt HTTP/1.1\r\nHost: localhost\r\n\r\nGET /files/small.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut connection.reader, &mut rest).unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200 OK").count(), 2, "{rest}");
    assert!(rest.ends_with("a small file\n"), "{rest}");
}

#[test]
fn tls_1_2_is_spoken_and_may_be_ruled_out() {
    let authority = Authority::new();
    let old = ClientConfig::builder_with_protocol_versions(&[&TLS12])
        .with_root_certificates(crate::client::roots(&authority))
        .with_no_client_auth();
    let old = Client(Arc::new(old));
    let server = project(&authority, "").start();
    let environ = old.get(server.address(), "/environ");
    let says = r#""SSL_PROTOCOL": "TLSv1.2""#;
    assert!(environ.text().contains(says), "{}", environ.text());
    let says = r#""SSL_CIPHER": "ECDHE-ECDSA-"#;
    assert!(environ.text().contains(says), "{}", environ.text());
    drop(server);
    let server = project(&authority, "minimum_version = \"1.3\"").start();
    assert!(old.open_as(server.address(), "localhost").is_err());
    assert_eq!(
        Client::trusting(&authority)
            .get(server.address(), "/")
            .status,
        200
    );
}

#[test]
fn a_big_file_is_the_same_byte_for_byte_and_in_parts() {
    let big = counted(5 * 1024 * 1024 + 12345);
    let authority = Authority::new();
    let project = project(&authority, "").file("dist/big.bin", &big);
    let project = project.file("authority.pem", &authority.pem);
    let ca = project.path("authority.pem");
    let server = project.start();
    let port = server.address().port();
    let resolve = format!("localhost:{port}:127.0.0.1");
    let curl = |arguments: &[&str]| {
        let mut all = vec!["-sS", "--fail", "--cacert", ca.to_str().unwrap()];
        all.extend(["--resolve", &resolve]);
        all.extend(arguments);
        let (content, out, errors) = run("curl", &all, b"");
        assert!(content, "{errors}");
        out
    };
    let url = format!("https://localhost:{port}/files/big.bin");
    assert!(curl(&[&url]) == big, "the whole file differs");
    for (range, part) in [
        ("0-0", &big[..1]),
        ("16383-16385", &big[16383..16386]),
        ("1000000-4999999", &big[1_000_000..5_000_000]),
        ("-70000", &big[big.len() - 70_000..]),
    ] {
        assert!(curl(&["-r", range, &url]) == part, "{range} differs");
    }
    // Six at once on one thread, none of which may get another's bytes.
    let six = curl(&[
        "-Z",
        "--parallel-immediate",
        "-o",
        "-",
        &url,
        "-o",
        "-",
        &url,
    ]);
    assert_eq!(six.len(), 2 * big.len());
}

#[test]
fn uploads_of_any_length_arrive_whole() {
    let (server, client) = server("");
    let mut connection = client.open(server.address());
    for len in [0, 1, 4096, 16384, 65536, 65537, 3_000_000] {
        let body = counted(len);
        connection.send(format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n"
        ));
        connection.send(&body);
        let answer = connection.answer().unwrap();
        let digest = sha256(&body);
        assert_eq!(answer.text(), format!("{digest} {len}"));
    }
}

/// SHA-256 by a program that is none of ours.
fn sha256(body: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(body).unwrap();
    let (content, out, errors) = run("sha256sum", &[file.path().to_str().unwrap()], b"");
    assert!(content, "{errors}");
    String::from_utf8(out).unwrap()[..64].to_owned()
}

#[test]
fn a_stream_comes_whole_and_its_end_is_announced() {
    let (server, client) = server("");
    let mut connection = client.open(server.address());
    connection.send("GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n");
    // rustls takes an end without `close_notify` for an error.
    let answer = connection.answer().unwrap();
    let expected: String = (0..1000).map(|number| format!("block {number} ")).collect();
    assert_eq!(answer.text(), expected);
}

#[test]
fn a_response_that_is_cut_short_does_not_look_complete() {
    let (server, client) = server("");
    let mut connection = client.open(server.address());
    connection.send("GET /cut HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(connection.answer().is_err());
}

#[test]
fn openssl_agrees_on_the_protocol_and_on_the_certificate() {
    let authority = Authority::new();
    let project = project(&authority, "").file("authority.pem", &authority.pem);
    let ca = project.path("authority.pem");
    let server = project.start();
    let address = server.address().to_string();
    let ask = |more: &[&str]| {
        let mut all = vec!["s_client", "-connect", &address, "-servername", "localhost"];
        all.extend(["-CAfile", ca.to_str().unwrap(), "-verify_return_error"]);
        all.extend(["-verify_hostname", "localhost", "-ign_eof"]);
        all.extend(more);
        let request =
            b"GET /files/small.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let (content, out, errors) = run("openssl", &all, request);
        (
            content,
            String::from_utf8_lossy(&out).into_owned() + &errors,
        )
    };
    let (content, said) = ask(&["-alpn", "h3,http/1.1"]);
    assert!(content, "{said}");
    for expected in [
        "Verify return code: 0 (ok)",
        "ALPN protocol: http/1.1",
        "a small file",
        "TLSv1.3",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let (content, said) = ask(&["-tls1_2"]);
    assert!(content && said.contains("a small file"), "{said}");
    for old in ["-tls1_1", "-tls1"] {
        let (content, said) = ask(&[old, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(!content && !said.contains("a small file"), "{old}: {said}");
        assert!(said.contains("SSL alert number"), "{old}: {said}");
    }
    // Suites without forward secrecy or authenticated encryption are not spoken.
    for suite in ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"] {
        let (content, said) = ask(&["-tls1_2", "-cipher", suite]);
        assert!(!content, "{suite}: {said}");
    }
}
