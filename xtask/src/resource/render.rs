//! Generates a resource's files from the templates in `xtask/resource/`.
//!
//! They are Tera templates with `[[ name ]]` and `[% if … %]`, so that generated files can contain braces.

use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};
use tera::{Context, Tera};

use super::field::{Field, FieldKind};
use super::names::{ResourceNames, capitalised, words};
use crate::Result;
use crate::rustfmt::Style;

/// A generated file, with its path from the root of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    pub path: String,
    pub text: String,
}

/// The templates, and the paths of the files that they generate.
const TEMPLATES: [(&str, &str); 9] = [
    ("migration.sql", "migrations/NUMBER_PLURAL.sql"),
    ("mod.rs", "src/PLURAL/mod.rs"),
    ("model.rs", "src/PLURAL/model.rs"),
    ("api.rs", "src/PLURAL/api.rs"),
    ("admin.rs", "src/PLURAL/admin.rs"),
    ("list.html", "templates/PLURAL/list.html.tera"),
    ("new.html", "templates/PLURAL/new.html.tera"),
    ("delete.html", "templates/PLURAL/delete.html.tera"),
    ("test.rs", "tests/PLURAL.rs"),
];

/// The default size limit of a request body, in bytes.
const DEFAULT_BODY_LIMIT: usize = 8 * 1024;
/// The maximum size limit of a request body, in bytes. The application and the proxy in `deploy/` enforce it.
const MAX_BODY_LIMIT: usize = 64 * 1024;
/// The maximum number of fields in the admin's list, including the first.
const MAX_LISTED_FIELDS: usize = 5;

/// Generates every file of a resource.
///
/// # Errors
/// A body can exceed the maximum limit, a template can't be read or rendered, or rustfmt fails.
pub fn generate(
    root: &Path,
    names: &ResourceNames,
    fields: &[Field],
    number: u32,
) -> Result<Vec<GeneratedFile>> {
    let max_bytes = max_body_bytes(fields);
    if max_bytes > MAX_BODY_LIMIT {
        return Err(format!(
            "a body with these fields can have {} KiB, but the application accepts at most 64 KiB: \
             leave out some fields of the kinds text, url or prose",
            max_bytes.div_ceil(1024)
        )
        .into());
    }
    let context = Context::from_value(template_context(names, fields))?;
    let generate = |(template, path): &(&str, &str)| {
        let source = root.join(format!("xtask/resource/{template}.tera"));
        let source = std::fs::read_to_string(&source)
            .map_err(|error| format!("{}: {error}", source.display()))?;
        let text =
            render_template(&source, &context).map_err(|error| format!("{template}: {error}"))?;
        let text = if Path::new(template)
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            Style::default().format(&text)?
        } else {
            text
        };
        let path = path
            .replace("NUMBER", &number.to_string())
            .replace("PLURAL", &names.plural);
        Ok(GeneratedFile { path, text })
    };
    TEMPLATES.iter().map(generate).collect()
}

/// Tera's delimiters in generated files, and placeholders for them while Tera renders the template.
const BRACE_PLACEHOLDERS: [(&str, &str); 5] = [
    ("{{", "\u{e000}"),
    ("}}", "\u{e001}"),
    ("{%", "\u{e002}"),
    ("%}", "\u{e003}"),
    ("{#", "\u{e004}"),
];
/// The delimiters of our templates, and Tera's.
const DELIMITERS: [(&str, &str); 6] = [
    ("[[", "{{"),
    ("]]", "}}"),
    ("[%-", "{%-"),
    ("-%]", "-%}"),
    ("[%", "{%"),
    ("%]", "%}"),
];

fn render_template(source: &str, context: &Context) -> Result<String> {
    let mut template = source.to_owned();
    for (delimiter, placeholder) in BRACE_PLACEHOLDERS {
        template = template.replace(delimiter, placeholder);
    }
    for (custom, standard) in DELIMITERS {
        template = template.replace(custom, standard);
    }
    let rendered = Tera::one_off(&template, context, false);
    // The source of Tera's error contains the line number.
    let mut text = rendered.map_err(|error| match error.source() {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    })?;
    for (delimiter, placeholder) in BRACE_PLACEHOLDERS {
        text = text.replace(placeholder, delimiter);
    }
    Ok(text)
}

/// The maximum size of a request body with these fields, in bytes.
fn max_body_bytes(fields: &[Field]) -> usize {
    // Quotes, colon, comma and spaces around a name and a value in JSON.
    const PUNCTUATION: usize = 8;
    let max_bytes = |field: &Field| field.name.len() + PUNCTUATION + field.kind.max_bytes();
    fields.iter().map(max_bytes).sum()
}

fn template_context(names: &ResourceNames, fields: &[Field]) -> Value {
    let columns: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let numbered = |from: usize| {
        columns
            .iter()
            .enumerate()
            .map(move |(at, name)| (at + from, name))
    };
    let values: Vec<String> = numbered(3).map(|(at, _)| format!("${at}")).collect();
    let assignments: Vec<String> = numbered(3)
        .map(|(at, name)| format!("{name} = ${at}"))
        .collect();
    let prefixed_columns: Vec<String> = columns.iter().map(|name| format!("t.{name}")).collect();
    let is_prose = matches!(fields, [field] if field.kind == FieldKind::Prose);
    let max_bytes = max_body_bytes(fields);
    let limit_kib = max_bytes.div_ceil(1024);
    let limit_kib = (max_bytes > DEFAULT_BODY_LIMIT).then_some(limit_kib);
    let request_body = match limit_kib {
        Some(limit) => format!("(content = Content, description = \"At most {limit} KiB.\")"),
        None => " = Content".to_owned(),
    };
    let numbered_fields = fields.iter().enumerate();
    let contexts: Vec<_> = numbered_fields
        .map(|(index, field)| field_context(field, index == 0))
        .collect();
    let listed: Vec<_> = contexts.iter().take(MAX_LISTED_FIELDS).skip(1).collect();
    json!({
        "plural": names.plural,
        "singular": names.singular,
        "Name": names.pascal(),
        "Names": names.pascal_plural(),
        "label": names.label(),
        "labels": names.labels(),
        "Label": capitalised(&names.label()),
        "Labels": capitalised(&names.labels()),
        "a": names.with_article(),
        "A": capitalised(&names.with_article()),
        "fields": contexts,
        "listed": listed,
        "imports": field_imports(fields),
        "table": table_columns(fields),
        "columns": wrap_list(&columns),
        "t_columns": wrap_list(&prefixed_columns),
        "insert_values": wrap_list(&values),
        "assignments": wrap_list(&assignments),
        "first_after": fields.len() + 3,
        "second_after": fields.len() + 4,
        "is_prose": is_prose,
        "limit_kib": limit_kib,
        "request_body": request_body,
        "spoken": row_label(&fields[0]),
        "required": fields.iter().filter(|field| field.is_required()).map(|field| &field.name).collect::<Vec<_>>(),
    })
}

/// A comma-separated SQL list, wrapped at about a hundred characters.
fn wrap_list(items: &[impl AsRef<str>]) -> String {
    let (mut text, mut length) = (String::new(), 0);
    for (at, item) in items.iter().map(AsRef::as_ref).enumerate() {
        if at > 0 {
            let is_full = length + item.len() > 60;
            text += if is_full { ",\n         " } else { ", " };
            length = if is_full { 0 } else { length };
        }
        text += item;
        length += item.len() + 2;
    }
    text
}

/// The imported types of the fields, in braces. Empty if the fields need none.
fn field_imports(fields: &[Field]) -> String {
    let mut types: Vec<&str> = fields
        .iter()
        .filter_map(|field| {
            Some(field.kind.rust_type()).filter(|(_, is_from_engine)| *is_from_engine)
        })
        .map(|(name, _)| name)
        .collect();
    types.sort_unstable();
    types.dedup();
    match &types[..] {
        [] => String::new(),
        types => format!("{{{}}}", types.join(", ")),
    }
}

/// The columns of the table, aligned.
fn table_columns(fields: &[Field]) -> Vec<String> {
    let mut columns = vec![
        ("id", "TEXT", "NOT NULL PRIMARY KEY"),
        (
            "user_id",
            "TEXT",
            "NOT NULL REFERENCES users (id) ON DELETE CASCADE",
        ),
    ];
    columns.extend(fields.iter().map(|field| {
        let constraint = if field.is_optional { "" } else { "NOT NULL" };
        (field.name.as_str(), field.kind.sql_type(), constraint)
    }));
    columns.extend([
        ("created_at", "BIGINT", "NOT NULL"),
        ("changed_at", "BIGINT", ""),
    ]);
    let width = columns
        .iter()
        .map(|(name, ..)| name.len())
        .max()
        .unwrap_or_default();
    let line = |(name, sql_type, constraint): &(&str, &str, &str)| {
        format!("{name:width$} {sql_type:6} {constraint}")
            .trim_end()
            .to_owned()
    };
    columns.iter().map(line).collect()
}

fn field_context(field: &Field, is_first: bool) -> Value {
    let Field {
        name,
        kind,
        is_optional,
    } = field;
    let (rust_type, _) = kind.rust_type();
    let (schema, example) = kind.schema();
    let optional = |inner: &str| {
        if *is_optional {
            format!("Option<{inner}>")
        } else {
            inner.to_owned()
        }
    };
    let doc = if *is_optional {
        format!("{} May be null.", kind.doc())
    } else {
        kind.doc().to_owned()
    };
    let required = if *is_optional { "required, " } else { "" };
    let heading = match kind {
        FieldKind::Url => words(name).replace("url", "URL"),
        _ => words(name),
    };
    json!({
        "name": name,
        "kind": kind.name(),
        "is_optional": is_optional,
        "is_copy": kind.is_copy(),
        "is_short": !matches!(kind, FieldKind::Text | FieldKind::Prose | FieldKind::Url),
        "type": optional(rust_type),
        "doc": doc,
        "input_schema": attribute_arguments(&format!("value_type = {}, {}", optional(schema), kind.value_limits()), example),
        "item_schema": attribute_arguments(&format!("value_type = {}, {required}", optional(schema)), example),
        "heading": capitalised(&heading),
        "cell": super::pages::cell_attributes(field, is_first),
        "shown": super::pages::display(field, "row"),
        "fact_attributes": super::pages::fact_attributes(field),
        "fact": super::pages::display(field, "page.row"),
        "input": super::pages::input(field, &capitalised(&heading), is_first),
        "example": kind.example(),
        "longest": kind.longest_value(),
        "taken": kind.accepted_values(),
        "refused": kind.rejected_values(),
        "invalid": kind.invalid_text(),
    })
}

/// The arguments of an attribute, on two lines if needed, because rustfmt does not format them.
fn attribute_arguments(first: &str, second: &str) -> String {
    if first.len() + second.len() <= 90 {
        format!("{first}{second}")
    } else {
        format!(
            "\n        {},\n        {second},\n    ",
            first.trim_end_matches(", ")
        )
    }
}

/// The expression that identifies a row for screen readers.
fn row_label(field: &Field) -> String {
    let value = format!("row.{}", field.name);
    let truncated = match field.kind {
        FieldKind::Text | FieldKind::Prose | FieldKind::Url => {
            format!("{value} | truncate(length=40)")
        }
        _ => value.clone(),
    };
    if field.kind == FieldKind::Flag {
        return format!(
            "{}: {}",
            words(&field.name),
            super::pages::display(field, "row")
        );
    }
    if field.is_optional {
        let condition = super::pages::value_condition(field, &value);
        format!(
            "{{% if {condition} %}}{{{{ {truncated} }}}}{{% else %}}{{{{ row.id }}}}{{% endif %}}"
        )
    } else {
        format!("{{{{ {truncated} }}}}")
    }
}
