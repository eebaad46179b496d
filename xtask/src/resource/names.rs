//! The names of a resource, and checks for names that can't be used.

use std::path::Path;

use super::field::Field;
use super::migration;
use super::reserved::{is_reserved_column, is_rust_keyword, is_sql_keyword, is_used, is_used_type};
use crate::Result;

/// The names of a resource.
#[derive(Debug, Clone)]
pub struct ResourceNames {
    /// The table, the module and the path, such as `line_items`.
    pub plural: String,
    /// Such as `line_item`.
    pub singular: String,
}

impl ResourceNames {
    /// Checks the plural, and derives the singular if none is given.
    ///
    /// # Errors
    /// A name can't be a table, a module or a Rust type.
    pub fn new(plural: String, singular: Option<String>) -> Result<Self> {
        check_identifier(&plural)?;
        check_sql(&plural)?;
        if ["sqlite_", "pg_"]
            .iter()
            .any(|prefix| plural.starts_with(prefix))
        {
            return Err(format!(
                "{plural:?} cannot be a table, because databases reserve this prefix: choose another name"
            )
            .into());
        }
        let singular = match singular {
            Some(singular) => singular,
            None => singular_of(&plural).ok_or_else(|| {
                format!("the singular of {plural:?} is ambiguous: add --singular, such as --singular movie for movies")
            })?,
        };
        check_identifier(&singular)?;
        if singular == plural {
            return Err(format!("{plural:?} has no distinct singular: choose another name").into());
        }
        if let Some(name) = [&plural, &singular].into_iter().find(|name| is_used(name)) {
            return Err(format!(
                "{name:?} is already used by this application: choose another name"
            )
            .into());
        }
        let types = [pascal(&singular), pascal(&plural)];
        if let Some(name) = types.iter().find(|name| is_used_type(name)) {
            return Err(format!(
                "{plural:?} conflicts with the type {name} in the generated code: choose another name"
            )
            .into());
        }
        Ok(Self { plural, singular })
    }

    /// `LineItem`
    pub fn pascal(&self) -> String {
        pascal(&self.singular)
    }

    /// `LineItems`
    pub fn pascal_plural(&self) -> String {
        pascal(&self.plural)
    }

    /// `line item`
    pub fn label(&self) -> String {
        words(&self.singular)
    }

    /// `line items`
    pub fn labels(&self) -> String {
        words(&self.plural)
    }

    /// `a line item`
    pub fn with_article(&self) -> String {
        let label = self.label();
        let has_vowel = label.starts_with(['a', 'e', 'i', 'o']);
        let article = if has_vowel { "an" } else { "a" };
        format!("{article} {label}")
    }
}

fn pascal(name: &str) -> String {
    name.split('_').map(capitalised).collect()
}

pub fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Endings of plurals whose singular is ambiguous, as in movies and categories, caches and watches, heroes and shoes,
/// menus and statuses. `ss` is not an ending of plurals.
const AMBIGUOUS_ENDINGS: [&str; 11] = [
    "ies", "ches", "shes", "ses", "xes", "zes", "oes", "ves", "us", "is", "ss",
];

/// The singular, if it is the plural without its `s`.
fn singular_of(plural: &str) -> Option<String> {
    let is_ambiguous = AMBIGUOUS_ENDINGS.iter().any(|end| plural.ends_with(end));
    // These words are both singular and plural.
    let last = plural.rsplit('_').next()?;
    if is_ambiguous || ["news", "s"].contains(&last) {
        return None;
    }
    plural.strip_suffix('s').map(str::to_owned)
}

/// Fails if the name can't be a module or a variable.
fn check_identifier(name: &str) -> Result {
    let is_word = |word: &str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let is_snake = name.split('_').all(is_word)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_snake || name.len() > 40 {
        return Err(format!(
            "{name:?} cannot be a name: use up to 40 characters of a-z, 0-9 and _, with words that begin with a letter"
        )
        .into());
    }
    if is_rust_keyword(name) {
        return Err(format!("{name:?} is a Rust keyword: choose another name").into());
    }
    Ok(())
}

/// Fails if the name can't be an unquoted table or column.
fn check_sql(name: &str) -> Result {
    if is_sql_keyword(name) {
        return Err(format!("{name:?} is an SQL keyword: choose another name").into());
    }
    Ok(())
}

/// Fails if there is no field, or if a field's name is in use, repeated or not a valid column.
pub fn check_fields(names: &ResourceNames, fields: &[Field]) -> Result {
    if fields.is_empty() {
        return Err("a resource needs at least one field: add one, such as title:text".into());
    }
    for (index, field) in fields.iter().enumerate() {
        let name = &field.name;
        check_identifier(name)?;
        check_sql(name)?;
        if is_reserved_column(name) {
            return Err(format!(
                "{name:?} cannot be a field, because every resource or table already has it: choose another name"
            )
            .into());
        }
        if [&names.plural, &names.singular].contains(&name) {
            return Err(
                format!("{name:?} is the name of the resource: choose another name").into(),
            );
        }
        if fields[..index].iter().any(|earlier| earlier.name == *name) {
            return Err(format!("{name:?} is given twice").into());
        }
    }
    Ok(())
}

/// Fails if the application has a module, table, template, schema or path of that name.
pub fn require_unused_names(root: &Path, names: &ResourceNames) -> Result {
    let mut migrations = vec![];
    for folder in migration::MIGRATION_FOLDERS {
        migrations.extend(migration::files(root, folder)?);
    }
    for name in [&names.plural, &names.singular] {
        for path in [
            format!("src/{name}"),
            format!("src/{name}.rs"),
            format!("tests/{name}"),
            format!("tests/{name}.rs"),
            format!("templates/{name}"),
        ] {
            if root.join(&path).exists() {
                return Err(format!("{path} already exists: choose another name").into());
            }
        }
        let created_table = |line: &str| {
            let line = line.trim().to_ascii_lowercase();
            let rest = line.strip_prefix("create table ")?;
            let rest = rest.trim_start_matches("if not exists ");
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            Some(rest[..end.unwrap_or(rest.len())].to_owned())
        };
        for path in &migrations {
            let text = std::fs::read_to_string(path)?;
            if text
                .lines()
                .filter_map(created_table)
                .any(|table| table == *name)
            {
                let path = path.strip_prefix(root).unwrap_or(path).display();
                return Err(
                    format!("{path} already creates a table {name}: choose another name").into(),
                );
            }
        }
    }
    let sources = super::read_sources(root, &super::SOURCE_FOLDERS)?;
    let schemas = [
        names.pascal(),
        names.pascal_plural(),
        format!("{}Fields", names.pascal()),
    ];
    for (path, text) in &sources {
        if let Some(name) =
            schema_names(text).find(|name| schemas.iter().any(|schema| schema == name))
        {
            let path = path.strip_prefix(root).unwrap_or(path).display();
            return Err(format!(
                "{path} already has the OpenAPI schema {name} that {} would add: choose another name",
                names.plural
            )
            .into());
        }
    }
    let mounts = [
        format!("\"/{}\"", names.plural),
        format!("\"/{}/", names.plural),
        format!("\"/admin/{}\"", names.plural),
    ];
    for (path, text) in sources {
        if mounts.iter().any(|mount| text.contains(mount)) {
            let path = path.strip_prefix(root).unwrap_or(&path).display();
            return Err(format!(
                "{path} already has a path /{}: choose another name",
                names.plural
            )
            .into());
        }
    }
    Ok(())
}

/// The names of the schemas that a file adds to the OpenAPI document.
fn schema_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[derive(").skip(1).filter_map(|rest| {
        let (traits, rest) = rest.split_once(")]")?;
        let is_type = |line: &&str| {
            let is_attribute = line.trim_start().starts_with(['/', '#']);
            !is_attribute && (line.contains("struct ") || line.contains("enum "))
        };
        let line = rest
            .lines()
            .find(is_type)
            .filter(|_| traits.contains("ToSchema"))?;
        let head = &rest[..rest.find(line)?];
        let name = match head.split_once("#[schema(as = ") {
            Some((_, name)) => name,
            None => {
                line.split_once("struct ")
                    .or_else(|| line.split_once("enum "))?
                    .1
            }
        };
        name.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
    })
}
