//! Which part of a request's path is `SCRIPT_NAME`, where an application stands below a route's
//! path (PEP 3333, "URL Reconstruction").
//!
//! Routes compare paths in normal form, the application gets the bytes that were sent: what is cut
//! off is the shortest beginning of those that means the route's path, whatever its spelling
//! (`//admin`, `/%61dmin`, `/x/../admin`), unless the rest leads out of it again.

use std::sync::Arc;

use appliance_gateway::Mount;

use crate::request_path::unescape_segment;
use crate::route::as_sent;

/// The path of a route with `mount`.
#[derive(Debug)]
pub(crate) struct MountPoint {
    script_name: Arc<str>,
    /// As requests spell it.
    segments: Vec<String>,
    len: usize,
}

impl MountPoint {
    /// `path` is a prefix: from `/` on.
    pub(crate) fn new(path: &str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let spelled = as_sent(path);
        MountPoint {
            script_name: Arc::from(path),
            segments: spelled.split('/').skip(1).map(str::to_owned).collect(),
            len: spelled.len(),
        }
    }

    /// Where to cut the path of a request that the route answers; none if it does not. `is_normal`
    /// says that it is in normal form.
    pub(crate) fn cut(&self, path: &[u8], is_normal: bool) -> Option<Mount> {
        let len = match is_normal {
            true => self.len,
            false => self.walk(path)?,
        };
        let script_name = Arc::clone(&self.script_name);
        Some(Mount { script_name, len })
    }

    fn walk(&self, path: &[u8]) -> Option<usize> {
        let whole = self.segments.len();
        // How deep the path is so far, and how much of that is the mount's.
        let (mut depth, mut same, mut end) = (0, 0, 0);
        let mut cut = (whole == 0).then_some(0);
        for segment in path.split(|byte| *byte == b'/').skip(1) {
            end += 1 + segment.len();
            let segment = unescape_segment(segment)?;
            match segment.as_str() {
                "" | "." => continue,
                ".." => {
                    depth = usize::checked_sub(depth, 1)?;
                    same = same.min(depth);
                    if depth < whole {
                        cut = None;
                    }
                }
                _ => {
                    if same == depth && self.segments.get(depth) == Some(&segment) {
                        same += 1;
                    }
                    depth += 1;
                }
            }
            if cut.is_none() && depth == whole && same == whole {
                cut = Some(end);
            }
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_path::normalize;

    #[test]
    fn what_means_the_mounts_path_is_cut_off() {
        for (mount, path, rest) in [
            ("/admin", "/admin", ""),
            ("/admin", "/admin/", "/"),
            ("/admin/", "/admin/x", "/x"),
            ("/admin", "/admin//x%2Fy/", "//x%2Fy/"),
            ("/admin", "//admin/x", "/x"),
            ("/admin", "/%61dmin/%61", "/%61"),
            ("/admin", "/x/../admin/./y", "/./y"),
            ("/admin", "/admin/../admin/y", "/y"),
            ("/admin", "/admin/y/../z", "/y/../z"),
            ("/admin", "/admin/../b/../admin", ""),
            ("/a/b", "/a/./b/c", "/c"),
            ("/a/b", "/a/x/../b//c", "//c"),
            ("/Grüße", "/Gr%c3%bc%C3%9fe/ü", "/ü"),
            ("/Grüße", "/Grüße/x", "/x"),
            ("/", "//x/../y", "//x/../y"),
        ] {
            let normal = normalize(path.as_bytes()).unwrap();
            let is_normal = normal.as_bytes() == path.as_bytes();
            let cut = MountPoint::new(mount).cut(path.as_bytes(), is_normal);
            let len = cut.map(|cut| cut.len).unwrap();
            assert_eq!(&path[len..], rest, "{path}");
        }
    }

    #[test]
    fn cutting_agrees_with_normal_forms() {
        let pieces = [
            "/", "a", "/a", "/b", "/..", "/.", "//", "/%61", "/%2F", "/ab",
        ];
        let mount = MountPoint::new("/a/b");
        let (mut seed, mut cuts): (u64, u32) = (7, 0);
        for _ in 0..50_000 {
            let mut path = String::from("/");
            for _ in 0..7 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                path.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            let Ok(normal) = normalize(path.as_bytes()) else {
                continue;
            };
            let rest = normal.strip_prefix("/a/b");
            let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
            let cut = mount.cut(path.as_bytes(), false).map(|cut| cut.len);
            assert_eq!(cut.is_some(), rest.is_some(), "{path}");
            if let (Some(cut), Some(rest)) = (cut, rest) {
                let (script, info) = path.split_at(cut);
                assert_eq!(
                    normalize(script.as_bytes()).as_deref(),
                    Ok("/a/b"),
                    "{path}"
                );
                let below = match info {
                    "" => String::new(),
                    info => normalize(info.as_bytes()).unwrap().into_owned(),
                };
                assert!(below == rest || rest.is_empty() && below == "/", "{path}");
                cuts += 1;
            }
        }
        assert!(cuts > 100, "{cuts}");
    }
}
