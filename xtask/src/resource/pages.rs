//! Tera markup of fields on the admin's pages.

use super::field::{Field, FieldKind};
use super::names::words;

/// The attributes of a field's cell. On a narrow screen, a row has two lines: the first field, then the user and the
/// short fields.
pub fn cell_attributes(field: &Field, is_first: bool) -> String {
    match (field.kind, is_first) {
        (FieldKind::Prose, true) => r#" class="prose" dir="auto""#.into(),
        (_, true) => r#" class="line""#.into(),
        (FieldKind::Text | FieldKind::Prose | FieldKind::Url, false) => r#" class="wide""#.into(),
        (FieldKind::Number, false) => {
            format!(r#" class="number" data-prefix="{}""#, words(&field.name))
        }
        (_, false) => format!(r#" data-prefix="{}""#, words(&field.name)),
    }
}

/// The attributes of a field on the confirmation page.
pub fn fact_attributes(field: &Field) -> &'static str {
    match field.kind {
        FieldKind::Prose => r#" dir="auto""#,
        _ => "",
    }
}

/// The markup that displays a field's value.
pub fn display(field: &Field, row: &str) -> String {
    let value = format!("{row}.{}", field.name);
    let value_markup = match field.kind {
        FieldKind::Text | FieldKind::Url => format!("{{{{ ui::name(text={value}) }}}}"),
        FieldKind::Flag => format!("{{% if {value} %}}yes{{% else %}}no{{% endif %}}"),
        FieldKind::Time => format!(
            r#"<time datetime="{{{{ {value} }}}}">{{{{ {value} | replace(from="T", to=" ") | replace(from="Z", to="") }}}}</time>"#
        ),
        FieldKind::Prose | FieldKind::Number | FieldKind::Date => format!("{{{{ {value} }}}}"),
    };
    if field.is_optional {
        let condition = value_condition(field, &value);
        format!("{{% if {condition} %}}{value_markup}{{% else %}}{{{{ ui::dash() }}}}{{% endif %}}")
    } else {
        value_markup
    }
}

/// The Tera condition that is true if an optional field has a value.
pub fn value_condition(field: &Field, value: &str) -> String {
    match field.kind {
        // Zero is falsy in Tera.
        FieldKind::Number => format!("{value} is number"),
        _ => value.to_owned(),
    }
}

/// The form input of a field, with its label.
pub fn input(field: &Field, label: &str, is_first: bool) -> String {
    let Field {
        name,
        kind,
        is_optional,
    } = field;
    let input_value = format!(r#"{{{{ page.typed.{name} | default(value="") }}}}"#);
    let autofocus = if is_first { " autofocus" } else { "" };
    let attributes = if *is_optional {
        autofocus.to_owned()
    } else {
        format!(" required{autofocus}")
    };
    let optional_note = if *is_optional {
        r#" <span class="faint">(optional)</span>"#
    } else {
        ""
    };
    let time_zone = if *kind == FieldKind::Time {
        " in UTC"
    } else {
        ""
    };
    let (id, label) = (
        format!("field-{name}"),
        format!("{label}{time_zone}{optional_note}"),
    );
    let input_line = |kind: &str, type_attributes: &str| {
        format!(
            r#"    <label for="{id}">{label}</label>
    <input id="{id}" name="{name}" type="{kind}" value="{input_value}"{type_attributes}{attributes}>"#
        )
    };
    match kind {
        FieldKind::Text => input_line("text", r#" maxlength="1000" autocomplete="off" dir="auto""#),
        FieldKind::Url => input_line(
            "url",
            r#" maxlength="1000" autocomplete="off" placeholder="https://""#,
        ),
        FieldKind::Number => input_line(
            "number",
            r#" min="-9007199254740991" max="9007199254740991" step="1""#,
        ),
        FieldKind::Date => input_line("date", ""),
        FieldKind::Time => input_line("datetime-local", r#" step="1""#),
        FieldKind::Prose => format!(
            r#"    <label for="{id}">{label}</label>
    <textarea id="{id}" name="{name}" rows="5" maxlength="500" dir="auto" aria-describedby="{id}-length"{attributes}>
{input_value}</textarea>
    <p id="{id}-length" class="help">Up to 500 characters.</p>"#
        ),
        FieldKind::Flag => format!(
            r#"    <label class="check"><input name="{name}" type="checkbox"{{% if page.typed.{name} %}} checked{{% endif %}}{autofocus}> {label}</label>"#
        ),
    }
}
