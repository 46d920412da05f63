//! Which of the application's variables are nobody else's business.

/// Words in a name by which its value is taken for a secret.
const WORDS: [&str; 7] = [
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "DSN",
];

/// Whether a variable of the environment holds a secret, by its name or since its value is a URL with
/// a login (`postgres://user:password@host/`): not to be printed or written to a file that many read.
pub fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let has_login = || {
        value
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains('@'))
    };
    WORDS.iter().any(|word| name.contains(word)) || has_login()
}
