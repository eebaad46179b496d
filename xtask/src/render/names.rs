//! The fork's names, and how they replace the template's.

use std::path::Path;

use crate::Result;
use crate::git::git;
use crate::render::manifest::Manifest;

/// The engine's name is this prefix and the template's name. The engine is not renamed.
const ENGINE_PREFIX: &str = "rocket_";

/// In bytes: the maximum length of a user name on Linux, because the service runs as a user of that name.
const MAX_NAME_LENGTH: usize = 31;
/// In characters. Longer titles do not fit the header of a page.
const MAX_TITLE_LENGTH: usize = 40;
/// In bytes: the maximum of the setting `token_prefix`.
const MAX_PREFIX_LENGTH: usize = 12;

/// Names reserved by Rust, its libraries and cargo (The Rust Reference, "Keywords"; cargo's `restricted_names`).
const RESERVED: &str = "
    abstract as async await become box break const continue crate do dyn else enum extern false final
    fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static
    struct super trait true try type typeof unsafe unsized use virtual where while yield
    alloc core proc_macro std test build deps examples incremental";

/// The template's names at its `HEAD`. A fork must not contain them, so they are read from the repository.
#[derive(Clone)]
pub struct TemplateNames {
    /// The package's name, in lower case and without hyphens.
    name: String,
    /// The prefix of tokens. None for early versions, which do not record it.
    prefix: Option<String>,
}

impl TemplateNames {
    /// Reads the names of the template in `repository`.
    ///
    /// # Errors
    /// The repository is not the template's, but for example a fork's.
    pub fn read(repository: &Path) -> Result<Self> {
        let read = |path: &str| git(repository, &["show", &format!("HEAD:{path}")]);
        let not_the_template =
            |reason: &str| format!("{} is not the template: {reason}", repository.display());
        let manifest: Manifest = read("Cargo.toml")
            .ok()
            .and_then(|text| toml::from_str(&text).ok())
            .ok_or_else(|| not_the_template("Cargo.toml has no package"))?;
        let name = manifest.package.name;
        if !manifest
            .dependencies
            .contains_key(&format!("{ENGINE_PREFIX}{name}"))
        {
            return Err(not_the_template("its package and its engine have different names").into());
        }
        let settings: toml::Table = toml::from_str(&read("Rocket.toml").unwrap_or_default())?;
        let prefix = settings
            .get("default")
            .and_then(|default| default.get("app")?.get("token_prefix")?.as_str());
        Ok(Self {
            prefix: prefix.map(str::to_owned),
            name,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the text contains the name, ignoring case and separators.
    pub fn occurs_in(&self, text: &str) -> bool {
        let letters: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
        letters.to_lowercase().contains(&self.name)
    }

    /// The position and the name of the next occurrence in lower-case text.
    fn find_next(&self, lower: &str, from: usize) -> Option<(usize, &str)> {
        [Some(&self.name), self.prefix.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|word| Some((from + lower[from..].find(word)?, word.as_str())))
            .min()
    }
}

/// The fork's names.
pub struct ForkNames {
    /// The names to replace.
    pub template_names: TemplateNames,
    /// For the package, the binary and the database, such as `acme-portal`.
    pub name: String,
    /// For Rust paths, cookies and metrics, such as `acme_portal`.
    pub identifier: String,
    /// For types, such as `AcmePortal`.
    type_name: String,
    /// Such as `Acme Portal`.
    pub title: String,
    /// The prefix of tokens, such as `ap`.
    pub prefix: String,
}

impl ForkNames {
    /// Validates the names, and derives missing ones from `name`.
    ///
    /// # Errors
    /// A name is invalid.
    pub fn new(
        template_names: TemplateNames,
        name: String,
        title: Option<String>,
        prefix: Option<String>,
    ) -> Result<Self> {
        validate_name(&name, &template_names)?;
        let words: Vec<&str> = name.split(['-', '_']).collect();
        let capitalised: Vec<String> = words.iter().map(|word| capitalise(word)).collect();
        let names = Self {
            identifier: name.replace('-', "_"),
            type_name: capitalised.concat(),
            title: title.unwrap_or_else(|| capitalised.join(" ")),
            prefix: prefix.unwrap_or_else(|| default_prefix(&words)),
            name,
            template_names,
        };
        validate_title(&names.title, &names.template_names)?;
        validate_prefix(&names.prefix)?;
        Ok(names)
    }

    /// Replaces the template's names in the text.
    pub fn rename(&self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let mut renamed = String::with_capacity(text.len());
        let mut position = 0;
        while let Some((at, word)) = self.template_names.find_next(&lower, position) {
            let end = at + word.len();
            let (before, found, after) = (&text[..at], &text[at..end], &text[end..]);
            if before.ends_with(ENGINE_PREFIX) {
                renamed.push_str(&text[position..end]);
                position = end;
                continue;
            }
            renamed.push_str(&text[position..at]);
            renamed.push_str(&if word == self.template_names.name {
                self.name_replacement(before, found, after)
            } else {
                self.prefix_replacement(before, found, after)
            });
            position = end;
        }
        renamed.push_str(&text[position..]);
        renamed
    }

    fn name_replacement(&self, before: &str, found: &str, after: &str) -> String {
        let is_word_char = |c: char| c.is_alphanumeric() || c == '_';
        let is_adjacent =
            last_char(before).is_some_and(is_word_char) || after.starts_with(is_word_char);
        let is_path = before.ends_with("::") || after.starts_with("::") || before.ends_with("doc/");
        let is_identifier = (is_adjacent || is_path) && !before.ends_with("CARGO_BIN_EXE_");
        if is_lower(found) {
            if is_identifier {
                &self.identifier
            } else {
                &self.name
            }
            .clone()
        } else if is_upper(found) {
            self.identifier.to_ascii_uppercase()
        } else {
            if is_identifier {
                &self.type_name
            } else {
                &self.title
            }
            .clone()
        }
    }

    fn prefix_replacement(&self, before: &str, found: &str, after: &str) -> String {
        if last_char(before).is_some_and(char::is_alphanumeric)
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

/// The last character, unless it belongs to an escape sequence, as in `"\nname"`.
fn last_char(text: &str) -> Option<char> {
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

/// The words' initials, or the first three letters of a single word.
fn default_prefix(words: &[&str]) -> String {
    match words {
        [word] => word.chars().take(3).collect(),
        words => words
            .iter()
            .flat_map(|word| word.chars().take(1))
            .take(MAX_PREFIX_LENGTH)
            .collect(),
    }
}

/// Rejects invalid names. This is stricter than cargo, which accepts names that cause warnings (upper case, `__`) or
/// that are invalid for users, hosts or container images.
fn validate_name(name: &str, template_names: &TemplateNames) -> Result {
    let mut words = name.split(['-', '_']);
    let has_valid_words =
        words.all(|word| !word.is_empty() && word.bytes().all(is_letter_or_digit));
    let reason = if !has_valid_words || !begins_with_letter(name) {
        "it must consist of words of a-z and 0-9, joined by - or _, and begin with a letter".into()
    } else if name.len() > MAX_NAME_LENGTH {
        format!("it must have at most {MAX_NAME_LENGTH} characters")
    } else if RESERVED
        .split_whitespace()
        .any(|word| word == name.replace('-', "_"))
    {
        "Rust or cargo reserves this name".into()
    } else if template_names.occurs_in(name) {
        "it contains the template's name".into()
    } else {
        return Ok(());
    };
    Err(format!("{name:?} cannot be the crate's name: {reason}").into())
}

/// Rejects invalid titles. A title is used in HTML, TOML, Rust and shell without escaping.
fn validate_title(title: &str, template_names: &TemplateNames) -> Result {
    let is_valid = title.split(' ').all(|word| !word.is_empty())
        && title.starts_with(char::is_alphanumeric)
        && title
            .chars()
            .all(|c| c.is_alphanumeric() || " -.".contains(c));
    let reason = if !is_valid {
        "it must consist of letters, digits, - and . with single spaces, and begin with a letter or digit".into()
    } else if title.chars().count() > MAX_TITLE_LENGTH {
        format!("it must have at most {MAX_TITLE_LENGTH} characters")
    } else if template_names.occurs_in(title) {
        "it contains the template's name".into()
    } else {
        return Ok(());
    };
    Err(format!("{title:?} cannot be the title: {reason}").into())
}

fn validate_prefix(prefix: &str) -> Result {
    let is_valid = prefix.len() <= MAX_PREFIX_LENGTH
        && begins_with_letter(prefix)
        && prefix.bytes().all(is_letter_or_digit);
    if is_valid {
        return Ok(());
    }
    Err(format!("{prefix:?} cannot be the token prefix: it must have 1 to {MAX_PREFIX_LENGTH} characters of a-z and 0-9, and begin \
         with a letter").into())
}

fn is_letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn begins_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}
