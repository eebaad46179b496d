//! What the fork is called, and how its names take the place of ours.

use crate::Outcome;

/// This project's name, in whatever case it is written.
pub const OWN: &str = "multitoken";
/// What this project's tokens begin with.
const OWN_PREFIX: &str = "mtk";

/// As long as Linux lets the name of a user be: the service runs as one of that name.
const NAME_LENGTH: usize = 31;
/// In characters; what the head of a page has room for.
const TITLE_LENGTH: usize = 40;
/// In bytes; see `token_prefix` in the settings.
const PREFIX_LENGTH: usize = 12;

/// What Rust, its libraries and cargo's folders have taken (The Rust Reference, "Keywords"; cargo's
/// `restricted_names`).
const RESERVED: &str = "
    abstract as async await become box break const continue crate do dyn else enum extern false final
    fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static
    struct super trait true try type typeof unsafe unsized use virtual where while yield
    alloc core proc_macro std test build deps examples incremental";

/// The fork's names.
pub struct Names {
    /// Of the package, the binary, the database: `acme-portal`.
    pub name: String,
    /// The same in Rust's paths, cookies and metrics: `acme_portal`.
    pub identifier: String,
    /// The same for a type: `AcmePortal`.
    type_name: String,
    /// What people read: `Acme Portal`.
    pub title: String,
    /// What tokens begin with: `ap`.
    pub prefix: String,
}

impl Names {
    /// The names that were asked for; those that were not follow from the first.
    ///
    /// # Errors
    /// One of them can't be what it is to be.
    pub fn new(name: String, title: Option<String>, prefix: Option<String>) -> Outcome<Self> {
        refuse_name(&name)?;
        let words: Vec<&str> = name.split(['-', '_']).collect();
        let capitalised: Vec<String> = words.iter().map(|word| capitalise(word)).collect();
        let names = Self {
            identifier: name.replace('-', "_"),
            type_name: capitalised.concat(),
            title: title.unwrap_or_else(|| capitalised.join(" ")),
            prefix: prefix.unwrap_or_else(|| prefix_of(&words)),
            name,
        };
        refuse_title(&names.title)?;
        refuse_prefix(&names.prefix)?;
        Ok(names)
    }

    /// The text with the fork's names in place of ours.
    pub fn renamed(&self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let mut renamed = String::with_capacity(text.len());
        let mut done = 0;
        while let Some((at, word)) = next(&lower, done) {
            let end = at + word.len();
            let (before, found, after) = (&text[..at], &text[at..end], &text[end..]);
            renamed.push_str(&text[done..at]);
            renamed.push_str(&if word == OWN {
                self.in_place_of_name(before, found, after)
            } else {
                self.in_place_of_prefix(before, found, after)
            });
            done = end;
        }
        renamed.push_str(&text[done..]);
        renamed
    }

    fn in_place_of_name(&self, before: &str, found: &str, after: &str) -> String {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let glued = last(before).is_some_and(part_of_word) || after.starts_with(part_of_word);
        let path = before.ends_with("::") || after.starts_with("::") || before.ends_with("doc/");
        let identifier = (glued || path) && !before.ends_with("CARGO_BIN_EXE_");
        if is_lower(found) {
            if identifier {
                &self.identifier
            } else {
                &self.name
            }
            .clone()
        } else if is_upper(found) {
            self.identifier.to_ascii_uppercase()
        } else {
            if identifier {
                &self.type_name
            } else {
                &self.title
            }
            .clone()
        }
    }

    fn in_place_of_prefix(&self, before: &str, found: &str, after: &str) -> String {
        if last(before).is_some_and(char::is_alphanumeric)
            || after.starts_with(char::is_alphanumeric)
        {
            found.into()
        } else if is_lower(found) {
            self.prefix.clone()
        } else if is_upper(found) {
            self.prefix.to_ascii_uppercase()
        } else {
            capitalise(&self.prefix)
        }
    }
}

/// Where the next of our names begins, and which.
fn next(lower: &str, from: usize) -> Option<(usize, &'static str)> {
    [OWN, OWN_PREFIX]
        .into_iter()
        .filter_map(|word| Some((from + lower[from..].find(word)?, word)))
        .min()
}

/// The character that stands there last; none where it belongs to an escape, as in `"\nmultitoken"`.
fn last(text: &str) -> Option<char> {
    let mut backwards = text.chars().rev();
    backwards.next().filter(|_| backwards.next() != Some('\\'))
}

fn is_lower(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn is_upper(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn capitalise(word: &str) -> String {
    let (first, rest) = word.split_at(usize::from(!word.is_empty()));
    first.to_ascii_uppercase() + rest
}

/// The words' initials, or the beginning of a single one.
fn prefix_of(words: &[&str]) -> String {
    match words {
        [word] => word.chars().take(3).collect(),
        words => words
            .iter()
            .flat_map(|word| word.chars().take(1))
            .take(PREFIX_LENGTH)
            .collect(),
    }
}

/// Stricter than cargo where what it lets through would draw warnings (a crate's name in upper case,
/// or with `__`) or is no name for a user, a host or an image.
fn refuse_name(name: &str) -> Outcome {
    let mut words = name.split(['-', '_']);
    let of_words = words.all(|word| !word.is_empty() && word.bytes().all(is_letter_or_digit));
    let why = if !of_words || !begins_with_letter(name) {
        "it has to be of words of a-z and 0-9, joined by - or _, and to begin with a letter".into()
    } else if name.len() > NAME_LENGTH {
        format!("it has to be no longer than {NAME_LENGTH} characters")
    } else if RESERVED
        .split_whitespace()
        .any(|word| word == name.replace('-', "_"))
    {
        "Rust or cargo has taken it".into()
    } else if holds_own(name) {
        "it is what this project is called".into()
    } else {
        return Ok(());
    };
    Err(format!("{name:?} can't be the crate's name: {why}").into())
}

/// Titles stand in HTML, TOML, Rust and shell alike, where other characters would have to be escaped.
fn refuse_title(title: &str) -> Outcome {
    let fits = title.split(' ').all(|word| !word.is_empty())
        && title.starts_with(char::is_alphanumeric)
        && title
            .chars()
            .all(|c| c.is_alphanumeric() || " -.".contains(c));
    let why = if !fits {
        "it has to be of letters, digits, - and ., with single spaces, and to begin with a letter or digit".into()
    } else if title.chars().count() > TITLE_LENGTH {
        format!("it has to be no longer than {TITLE_LENGTH} characters")
    } else if holds_own(title) {
        "it is what this project is called".into()
    } else {
        return Ok(());
    };
    Err(format!("{title:?} can't be the title: {why}").into())
}

fn refuse_prefix(prefix: &str) -> Outcome {
    let fits = prefix.len() <= PREFIX_LENGTH
        && begins_with_letter(prefix)
        && prefix.bytes().all(is_letter_or_digit);
    if fits {
        return Ok(());
    }
    Err(format!("{prefix:?} can't be the tokens' prefix: it has to be of 1 to {PREFIX_LENGTH} of a-z and 0-9, and to begin with a letter").into())
}

fn is_letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn begins_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn holds_own(name: &str) -> bool {
    let bare: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    bare.to_lowercase().contains(OWN)
}
