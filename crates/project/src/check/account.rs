//! `server.user`, `server.group` and `server.umask`.
//!
//! Users and groups are looked up as the system does (nsswitch.conf): they may live in LDAP, or
//! exist only while a unit runs. A number is taken for a name first: names may be all digits.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::fault::Fault;
use crate::key_path::{KeyPath, quoted};
use crate::model::{Account, Login};
use crate::reader::{Entry, Table};

use super::Check;
use super::application::optional;

impl Check<'_, '_> {
    /// Whom workers run as; `None` inside if nobody is named.
    pub(super) fn account(&mut self, table: &Table<'_>) -> Option<Option<Account>> {
        let group = optional(table, "group", || self.group(table));
        let Some(entry) = table.entry("user") else {
            if let Some(entry) = table.entry("group") {
                self.reader.fault_at(Fault::GroupWithoutUser, &entry);
                return None;
            }
            return Some(None);
        };
        let name = self.reader.text(table, "user")?.0;
        match found(&name, group?) {
            Ok(account) => Some(Some(self.reader.accept(&entry, quoted(&name), account))),
            Err(fault) => {
                self.reader.fault_at(fault.of(&entry), &entry);
                None
            }
        }
    }

    fn group(&mut self, table: &Table<'_>) -> Option<Gid> {
        let (name, entry) = self.reader.text(table, "group")?;
        match group(&name) {
            Ok(gid) => Some(self.reader.accept(&entry, quoted(&name), gid)),
            Err(fault) => {
                self.reader.fault_at(fault.of(&entry), &entry);
                None
            }
        }
    }

    pub(super) fn umask(&mut self, table: &Table<'_>) -> Option<u32> {
        self.mode(table, "umask")
    }

    /// Permissions, in octal.
    pub(super) fn mode(&mut self, table: &Table<'_>, key: &'static str) -> Option<u32> {
        let (found, entry) = self.reader.text(table, key)?;
        match umask(&found) {
            Some(mask) => Some(
                self.reader
                    .accept(&entry, quoted(&format!("{mask:03o}")), mask),
            ),
            None => {
                self.reader.fault_at(Fault::Mode { key, found }, &entry);
                None
            }
        }
    }
}

/// Why an account is not known.
enum Unknown {
    Fault(Fault),
    Database(Errno),
}

impl Unknown {
    fn of(self, entry: &Entry<'_>) -> Fault {
        match self {
            Unknown::Fault(fault) => fault,
            Unknown::Database(error) => Fault::NoDatabase {
                key: KeyPath::clone(&entry.path),
                reason: error.desc().to_owned(),
            },
        }
    }
}

impl From<Errno> for Unknown {
    fn from(error: Errno) -> Unknown {
        Unknown::Database(error)
    }
}

fn found(name: &str, group: Option<Gid>) -> Result<Account, Unknown> {
    let number = number(name);
    let user = match (User::from_name(name)?, number) {
        (None, Some(uid)) => User::from_uid(Uid::from_raw(uid))?,
        (user, _) => user,
    };
    let Some(user) = user else {
        let uid = number.ok_or_else(|| {
            Unknown::Fault(Fault::UnknownUser {
                found: name.to_owned(),
            })
        })?;
        let gid = group.ok_or(Unknown::Fault(Fault::UserWithoutGroup { uid }))?;
        return Ok(Account {
            name: name.to_owned(),
            uid,
            gid: gid.as_raw(),
            groups: vec![gid.as_raw()],
            login: None,
        });
    };
    let gid = group.unwrap_or(user.gid);
    let login = CString::new(user.name.as_str()).unwrap_or_default();
    let groups = getgrouplist(&login, gid)?;
    Ok(Account {
        name: name.to_owned(),
        uid: user.uid.as_raw(),
        gid: gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        login: Some(Login {
            name: user.name,
            home: user.dir,
        }),
    })
}

fn group(name: &str) -> Result<Gid, Unknown> {
    match Group::from_name(name)? {
        Some(group) => Ok(group.gid),
        None => number(name).map(Gid::from_raw).ok_or_else(|| {
            Unknown::Fault(Fault::UnknownGroup {
                found: name.to_owned(),
            })
        }),
    }
}

/// The number of a user or group. The highest one means "leave it as it is" to setresuid(2).
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| text.parse().ok()).flatten()?;
    (number != u32::MAX).then_some(number)
}

fn umask(text: &str) -> Option<u32> {
    const ALL: u32 = 0o777;
    let plain = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let mask = plain.then(|| u32::from_str_radix(text, 8).ok()).flatten()?;
    (mask <= ALL).then_some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_user_and_group_0_everywhere() {
        for name in ["root", "0"] {
            let account = found(name, None).ok().unwrap();
            assert_eq!((account.uid, account.gid), (0, 0));
            assert!(account.groups.contains(&0));
            assert_eq!(account.login.unwrap().name, "root");
        }
        let account = found("root", Some(Gid::from_raw(7))).ok().unwrap();
        assert_eq!((account.uid, account.gid), (0, 7));
        assert!(account.groups.contains(&7));
    }

    #[test]
    fn numbers_that_nobody_has_need_a_group() {
        let fault = found("3999999999", None).err().unwrap();
        assert!(matches!(
            fault,
            Unknown::Fault(Fault::UserWithoutGroup { uid: 3_999_999_999 })
        ));
        let account = found("3999999999", Some(Gid::from_raw(8))).ok().unwrap();
        assert_eq!((account.uid, account.groups), (3_999_999_999, vec![8]));
    }

    #[test]
    fn numbers_that_mean_something_else_are_none() {
        for text in ["4294967295", "4294967296", "-1", "+1", "1.0", "0x10", " 1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn umasks_are_octal() {
        assert_eq!(umask("027"), Some(0o27));
        assert_eq!(umask("0077"), Some(0o77));
        assert_eq!(umask("0"), Some(0));
        for text in ["1000", "028", "00077", "u=rwx", "-1", "+22", "0o22"] {
            assert_eq!(umask(text), None, "{text}");
        }
    }
}
