//! With curl and nghttp2.

use super::*;

#[test]
fn curl_speaks_it() {
    let site = project("", "body_limit = \"20MB\"", "").start();
    let version = curl(&site, &["-o", "/dev/null", "-w", "%{http_version}"], "/n/1");
    assert_eq!(text(&version), "2");
    for path in ["/files/large.bin", "/large"] {
        let got = curl(&site, &[], path);
        assert!(got.status.success() && got.stdout == large(), "{path}");
    }
    let upload = format!("@{}", site.project.path("files/large.bin").display());
    let sum = large().iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let sent = curl(&site, &["--data-binary", &upload], "/sum");
    assert_eq!(text(&sent), format!("{LARGE} {sum}"));
    let head = text(&curl(&site, &["-I"], "/files/large.bin"));
    assert!(
        head.contains(&format!("content-length: {LARGE}\r\n")),
        "{head}"
    );
}

#[test]
fn curl_reads_why_its_upload_was_refused() {
    let site = project("", "body_limit = \"1MB\"", "").start();
    let upload = format!("@{}", site.project.path("files/large.bin").display());
    let arguments = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--data-binary",
        &upload,
    ];
    let told = text(&curl(&site, &arguments, "/sum"));
    assert!(told.starts_with("413"), "{told}");
}

#[test]
fn nghttp_and_h2load_speak_it() {
    let site = start();
    let url = |path: &str| format!("http://{}{path}", site.address());
    let urls = [url("/n/1"), url("/files/a.txt"), url("/large")];
    let [first, second, third] = urls.each_ref().map(String::as_str);
    let fetched = run("nghttp", &["-nv", "-t", "30", first, second, third]);
    let told = text(&fetched);
    assert!(fetched.status.success(), "{told}");
    assert_eq!(told.matches(":status: 200").count(), 3, "{told}");
    assert!(!told.contains("RST_STREAM"), "{told}");
    for (path, requests) in [("/n/1", "2000"), ("/files/a.txt", "4000"), ("/large", "20")] {
        let load = run(
            "h2load",
            &["-n", requests, "-c", "4", "-m", "20", &url(path)],
        );
        let told = text(&load);
        let all = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(told.contains(&all), "{path}: {told}");
        assert!(told.contains(&format!("{requests} 2xx")), "{path}: {told}");
    }
    assert!(!site.log().contains("panicked"), "{}", site.log());
}
