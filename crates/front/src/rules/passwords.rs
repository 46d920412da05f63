//! Who may come in by a password: Basic (RFC 7617), against hashes of bcrypt and Argon2.
//!
//! A hash takes tens of milliseconds on purpose, so it is computed in the blocking pool, two at a
//! time: those threads read files too. Who has been right lately is remembered. A name that does
//! not exist costs what one that does would: its password is compared with somebody's hash.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use appliance_message::{Fields, Head, Name};
use appliance_project::model;
use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use tokio::sync::Semaphore;

use crate::respond::refuse;
use crate::response::Response;

/// Of the four threads of the blocking pool.
static COMPUTING: Semaphore = Semaphore::const_new(2);
/// Logins that wait for one of them; further ones get a 503.
const LONGEST_QUEUE: usize = 64;
static QUEUE: AtomicUsize = AtomicUsize::new(0);
/// Half of the logins that are remembered.
const REMEMBERED: usize = 512;

#[derive(Debug)]
pub(super) struct Passwords {
    challenge: String,
    users: Arc<[(String, String)]>,
    known: Mutex<Known>,
}

/// Who has been right lately, as keyed hashes: what lies in memory is of no use to anybody.
#[derive(Debug, Default)]
struct Known {
    keys: [RandomState; 2],
    recent: HashSet<[u64; 2]>,
    before: HashSet<[u64; 2]>,
}

/// What a client says it is.
#[derive(Clone)]
struct Login {
    user: String,
    password: String,
}

impl Passwords {
    pub(super) fn new(written: &model::Passwords) -> Passwords {
        Passwords {
            challenge: format!("Basic realm=\"{}\", charset=\"UTF-8\"", written.realm),
            users: written.users.clone().into(),
            known: Mutex::default(),
        }
    }

    /// The user that the request is from; an error is the answer to one from nobody.
    pub(super) async fn user_of(&self, head: &Head) -> Result<Box<str>, Response> {
        let unknown = || {
            let page = refuse(StatusCode::UNAUTHORIZED, head);
            page.with("WWW-Authenticate", &self.challenge)
        };
        let login = login(head).ok_or_else(unknown)?;
        if self.known().remembers(&login) {
            return Ok(login.user.into());
        }
        match Box::pin(self.verify(login.clone())).await {
            Some(true) => {
                self.known().add(&login);
                Ok(login.user.into())
            }
            Some(false) => Err(unknown()),
            None => {
                let page = refuse(StatusCode::SERVICE_UNAVAILABLE, head);
                Err(page.with("Retry-After", "1"))
            }
        }
    }

    /// None if too many wait already.
    async fn verify(&self, login: Login) -> Option<bool> {
        let _place = Place::take()?;
        let turn = COMPUTING.acquire().await.ok()?;
        let users = Arc::clone(&self.users);
        let computing = tokio::task::spawn_blocking(move || {
            // Until the hash is done, even if nobody waits for it any more.
            let _turn = turn;
            is_right(&users, &login)
        });
        computing.await.ok()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue.
struct Place;

impl Place {
    fn take() -> Option<Place> {
        let place = Place;
        (QUEUE.fetch_add(1, Relaxed) < LONGEST_QUEUE).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        QUEUE.fetch_sub(1, Relaxed);
    }
}

impl Known {
    fn key(&self, login: &Login) -> [u64; 2] {
        let text = (&login.user, &login.password);
        [self.keys[0].hash_one(text), self.keys[1].hash_one(text)]
    }

    fn remembers(&self, login: &Login) -> bool {
        let key = self.key(login);
        self.recent.contains(&key) || self.before.contains(&key)
    }

    fn add(&mut self, login: &Login) {
        if self.recent.len() >= REMEMBERED {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(self.key(login));
    }
}

/// What a request's one `Authorization: Basic` says.
fn login(head: &Head) -> Option<Login> {
    if head.repeats(Name::Authorization) {
        return None;
    }
    let field = head.get(Name::Authorization)?;
    let (scheme, rest) = field.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim_ascii()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    // What would end up in environ and in log lines.
    let is_printable = !text.chars().any(char::is_control);
    is_printable.then(|| Login {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

fn is_right(users: &[(String, String)], login: &Login) -> bool {
    match users.iter().find(|(user, _)| *user == login.user) {
        Some((_, hash)) => fits(&login.password, hash),
        // The same one for the same name, so that each name has a time of its own to answer.
        None => {
            let number = login.user.bytes().fold(0, |sum, byte| {
                usize::from(byte).wrapping_add(31_usize.wrapping_mul(sum))
            });
            if let Some((_, hash)) = users.get(number % users.len().max(1)) {
                fits(&login.password, hash);
            }
            false
        }
    }
}

/// Both crates compare in constant time.
fn fits(password: &str, hash: &str) -> bool {
    match hash.starts_with("$2") {
        true => bcrypt::verify(password, hash).unwrap_or(false),
        false => PasswordHash::new(hash).is_ok_and(|hash| {
            let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
            verified.is_ok()
        }),
    }
}

/// `public` lets shared caches keep what only those with a password may see (RFC 9111 §3.5).
pub(super) fn keep_private(fields: &mut Fields) {
    let Some(value) = fields.get("cache-control").map(<[u8]>::to_vec) else {
        return;
    };
    let public = |word: &&[u8]| word.trim_ascii().eq_ignore_ascii_case(b"public");
    if !value.split(|byte| *byte == b',').any(|word| public(&word)) {
        return;
    }
    let words = value
        .split(|byte| *byte == b',')
        .filter(|word| !public(word));
    let others: Vec<&[u8]> = words.map(<[u8]>::trim_ascii).collect();
    let mut private = b"private".to_vec();
    for word in others {
        private.extend_from_slice(b", ");
        private.extend_from_slice(word);
    }
    fields.remove("cache-control");
    fields.add("Cache-Control", private);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_request::request;

    /// Of `secret`.
    const ARGON2: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$";

    fn argon2(password: &str) -> String {
        let params = argon2::Params::new(64, 1, 1, Some(32)).expect("parameters");
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut sum = [0; 32];
        argon2
            .hash_password_into(password.as_bytes(), b"saltsaltsalt", &mut sum)
            .expect("a hash");
        format!("{ARGON2}{}", STANDARD.encode(sum).trim_end_matches('='))
    }

    #[test]
    fn passwords_fit_their_own_hash_alone() {
        let bcrypt = bcrypt::hash("secret", 4).expect("a hash");
        let users = [
            ("ann".to_owned(), bcrypt),
            ("bob".to_owned(), argon2("secret")),
        ];
        let right = |user: &str, password: &str| {
            let (user, password) = (user.to_owned(), password.to_owned());
            is_right(&users, &Login { user, password })
        };
        for user in ["ann", "bob"] {
            assert!(right(user, "secret"), "{user}");
            assert!(!right(user, "Secret"), "{user}");
            assert!(!right(user, ""), "{user}");
        }
        for stranger in ["", "Ann", "carol", "dave"] {
            assert!(!right(stranger, "secret"), "{stranger}");
        }
    }

    #[test]
    fn only_one_well_formed_field_is_a_login() {
        let parse = |fields: &[(&str, &str)]| {
            login(&request("/", fields)).map(|login| (login.user, login.password))
        };
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let field = encoded("ann:a:b");
        let ann = Some(("ann".to_owned(), "a:b".to_owned()));
        assert_eq!(parse(&[("authorization", field.as_str())]), ann);
        assert_eq!(
            parse(&[("authorization", &field.replace("Basic", "bAsIc"))]),
            ann
        );
        assert_eq!(parse(&[("authorization", field.as_str()); 2]), None);
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Bearer YW5uOmE6Yg==",
            &encoded("ann"),
            &encoded("an\nn:a"),
        ] {
            assert_eq!(parse(&[("authorization", wrong)]), None, "{wrong}");
        }
    }

    #[test]
    fn as_many_logins_are_remembered_as_there_is_room_for() {
        let mut known = Known::default();
        let login = |number: usize| Login {
            user: number.to_string(),
            password: "secret".to_owned(),
        };
        for number in 0..=2 * REMEMBERED {
            known.add(&login(number));
        }
        assert!(known.remembers(&login(2 * REMEMBERED)));
        assert!(!known.remembers(&login(0)));
        assert!(known.recent.len() + known.before.len() <= 2 * REMEMBERED);
    }

    #[test]
    fn what_needs_a_password_is_not_public() {
        for (before, after) in [
            (
                "public, max-age=31536000, immutable",
                "private, max-age=31536000, immutable",
            ),
            ("max-age=5 , Public", "private, max-age=5"),
            ("no-cache", "no-cache"),
            ("max-age=5, x=public-y", "max-age=5, x=public-y"),
        ] {
            let mut fields = Fields::default();
            fields.add("Cache-Control", before);
            keep_private(&mut fields);
            assert_eq!(fields.get("cache-control"), Some(after.as_bytes()));
        }
    }
}
