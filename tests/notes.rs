//! Notes: which values their fields accept. `tests/resources` tests the rules of all resources.

use multitoken::notes::{DELETED, model};
use rocket_multitoken::web::body::Form;
use serde_json::json;

use crate::resources::Resource;

/// The facts about notes that the tests of all resources need.
pub const RESOURCE: Resource = Resource {
    name: "notes",
    label: "note",
    deleted: DELETED,
    full: model::MAX_PER_USER_MESSAGE,
    limit: <model::Content as Form>::LIMIT,
    example: || {
        json!({
            "text": "Buy oats",
        })
    },
    longest: || {
        json!({
            "text": "😀".repeat(500),
        })
    },
    invalid: ("text", "a\u{202e}b"),
};

#[test]
fn each_field_accepts_and_stores_valid_values() {
    RESOURCE.keeps(|| vec![("text", json!(" one\r\ntwo\t "), json!("one\ntwo"))]);
}

#[test]
fn each_field_rejects_invalid_values_with_a_message() {
    RESOURCE.refuses(|| {
        vec![
            (
                "text",
                json!("é".repeat(501)),
                "Ensure this field has no more than 500 characters.",
            ),
            (
                "text",
                json!(format!(" {}", "é".repeat(500))),
                "Ensure this field has no more than 500 characters.",
            ),
            ("text", json!(1), "Not a valid string."),
            (
                "text",
                json!("a\u{0}b"),
                "Control characters are not allowed.",
            ),
            (
                "text",
                json!("a\u{202e}b"),
                "Control characters are not allowed.",
            ),
            ("text", json!(" "), "This field may not be blank."),
        ]
    });
}

#[test]
fn all_missing_fields_are_reported_at_once() {
    RESOURCE.requires(&["text"]);
}
