//! A file of users and the hashes of their passwords, as `htpasswd` writes it.
//!
//! Only hashes that are slow to compute are taken. What Apache and nginx take besides (SHA-1, MD5,
//! crypt, plain text) is found out in hours once the file is, on any machine with a graphics card.

use crate::fault::PasswordProblem;

/// Beyond this a login would take seconds of a CPU: bcrypt doubles with each step, and takes
/// about 2 s at 15.
const COSTLIEST_BCRYPT: u32 = 15;
/// KiB. Two logins at a time, in each worker.
const LARGEST_ARGON2: u32 = 256 << 10;
const MOST_PASSES: u32 = 20;

/// Users and their hashes; the number of the first line that is wrong, and what is.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, PasswordProblem)> {
    let mut users: Vec<(String, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem| (number, problem);
        let (user, hash) = match line.split_once(':') {
            Some((user, hash)) if !user.is_empty() => (user, hash),
            _ => return Err(wrong(PasswordProblem::NoUser)),
        };
        check(hash).map_err(wrong)?;
        if users.iter().any(|(known, _)| known == user) {
            return Err(wrong(PasswordProblem::Twice(user.to_owned())));
        }
        users.push((user.to_owned(), hash.to_owned()));
    }
    Ok(users)
}

fn check(hash: &str) -> Result<(), PasswordProblem> {
    let kind = hash
        .strip_prefix('$')
        .and_then(|rest| rest.split('$').next());
    match kind {
        Some("2a" | "2b" | "2y") => bcrypt(hash),
        Some("argon2i" | "argon2d" | "argon2id") => argon2(hash),
        Some("apr1" | "1") => Err(PasswordProblem::Weak("an MD5 hash")),
        Some("5" | "6") => Err(PasswordProblem::Weak("a SHA-2 hash of crypt")),
        _ if hash.starts_with("{SHA}") || hash.starts_with("{SSHA}") => {
            Err(PasswordProblem::Weak("a SHA-1 hash"))
        }
        _ if hash.len() == 13 && hash.bytes().all(is_crypt) => Err(PasswordProblem::Weak(
            "a hash of crypt, or a password in plain text",
        )),
        _ => Err(PasswordProblem::Weak("neither bcrypt nor Argon2")),
    }
}

/// `$2y$10$` and 53 characters: salt and hash.
fn bcrypt(hash: &str) -> Result<(), PasswordProblem> {
    let mut parts = hash.split('$').skip(2);
    let (cost, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let is_whole = rest.len() == 53 && rest.bytes().all(is_crypt) && parts.next().is_none();
    let cost = Some(cost).filter(|cost| cost.len() == 2 && is_whole);
    match cost.and_then(|digits| digits.parse().ok()) {
        Some(4..=COSTLIEST_BCRYPT) => Ok(()),
        Some(cost) if cost > COSTLIEST_BCRYPT => Err(PasswordProblem::Costly),
        _ => Err(PasswordProblem::Damaged),
    }
}

/// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
fn argon2(hash: &str) -> Result<(), PasswordProblem> {
    let parts: Vec<&str> = hash.split('$').collect();
    let [_, _, "v=19" | "v=16", costs, salt, sum] = parts[..] else {
        return Err(PasswordProblem::Damaged);
    };
    let is_base64 = |text: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        (11..=128).contains(&text.len()) && text.bytes().all(inside)
    };
    let cost = |name| {
        let mut all = costs.split(',');
        all.find_map(|one| {
            one.strip_prefix(name)?
                .strip_prefix('=')?
                .parse::<u32>()
                .ok()
        })
    };
    match (cost("m"), cost("t"), cost("p")) {
        (Some(memory), Some(passes), Some(1..=64))
            if is_base64(salt) && is_base64(sum) && memory >= 8 && passes >= 1 =>
        {
            match memory <= LARGEST_ARGON2 && passes <= MOST_PASSES {
                true => Ok(()),
                false => Err(PasswordProblem::Costly),
            }
        }
        _ => Err(PasswordProblem::Damaged),
    }
}

fn is_crypt(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
    const ARGON2: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$\
                          MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";

    #[test]
    fn slow_hashes_are_taken_and_others_refused() {
        let users = parse(&format!("# staff\n\nann:{BCRYPT}\nbob:{ARGON2}\r\n")).unwrap();
        let names: Vec<_> = users.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ann", "bob"]);
        assert_eq!(users[1].1, ARGON2);
        for hash in [
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
            "$1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
            "$6$salt$hash",
            "rqXexS6ZhobKA",
            "secret",
            "",
        ] {
            let (line, problem) = parse(&format!("\nann:{hash}")).unwrap_err();
            assert_eq!(line, 2, "{hash}");
            assert!(matches!(problem, PasswordProblem::Weak(_)), "{hash}");
        }
    }

    #[test]
    fn damaged_and_costly_hashes_are_told_apart() {
        for (hash, expected) in [
            (BCRYPT[..59].to_owned(), PasswordProblem::Damaged),
            (format!("{BCRYPT}a"), PasswordProblem::Damaged),
            (BCRYPT.replace("$05$", "$5$"), PasswordProblem::Damaged),
            (BCRYPT.replace("$05$", "$03$"), PasswordProblem::Damaged),
            (BCRYPT.replace("$05$", "$31$"), PasswordProblem::Costly),
            (ARGON2.replace("19456", "9999999"), PasswordProblem::Costly),
            (ARGON2.replace("t=2", "t=200"), PasswordProblem::Costly),
            (ARGON2.replace("t=2", "t=0"), PasswordProblem::Damaged),
            (ARGON2.replace("m=19456,", ""), PasswordProblem::Damaged),
            (
                ARGON2.replace("c2FsdHNhbHRzYWx0", "c2 FsdA"),
                PasswordProblem::Damaged,
            ),
        ] {
            assert_eq!(parse(&format!("ann:{hash}")), Err((1, expected)), "{hash}");
        }
        let twice = parse(&format!("ann:{BCRYPT}\nann:{ARGON2}"));
        assert_eq!(twice, Err((2, PasswordProblem::Twice("ann".into()))));
        assert_eq!(parse("ann"), Err((1, PasswordProblem::NoUser)));
    }
}
