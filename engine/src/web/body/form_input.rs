//! A page's form that keeps its input, to be shown again after an error.

use std::collections::BTreeMap;
use std::mem;

use serde_json::Value;

use super::{Fields, Form};
use crate::error::FieldErrors;

/// The input of a page's form without a password. Add `data = "<form>"` and a parameter
/// `form: Body<FormInput<T>>`.
///
/// Fails like [`super::Body`], except for invalid fields: the handler shows its form again.
pub struct FormInput<T> {
    /// The fields as the user entered them.
    pub values: BTreeMap<String, String>,
    /// The parsed form, or the errors of all invalid fields.
    pub parsed: Result<T, FieldErrors>,
}

impl<T: Form> Form for FormInput<T> {
    const LIMIT: u64 = T::LIMIT;

    fn read(fields: &mut Fields) -> Option<Self> {
        let texts = fields
            .values
            .iter()
            .filter_map(|(name, value)| match value {
                Value::String(text) => Some((name.clone(), text.clone())),
                _ => None,
            });
        let values = texts.collect();
        let form = T::read(fields);
        let errors = mem::take(&mut fields.errors);
        let parsed = form.filter(|_| errors.is_empty()).ok_or(errors);
        Some(Self { values, parsed })
    }
}
