//! Validation errors of a request's fields.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Error;

/// Error messages by field, in the format of Django REST framework: `{"client": ["This field is required."]}`.
#[derive(Debug, Clone, Default)]
pub struct FieldErrors(pub(super) BTreeMap<&'static str, Vec<String>>);

impl FieldErrors {
    /// Adds a message about `field`.
    pub fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.entry(field).or_default().push(message.into());
    }

    /// Returns `value` if there are no messages.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all messages.
    pub fn into_result<T>(self, value: T) -> Result<T, Error> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Error::Invalid(self))
        }
    }

    /// A single message.
    pub fn single(field: &'static str, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }

    /// The messages of [`Error::Invalid`]. The text of any other error becomes a message about `field`.
    pub fn from_error(field: &'static str, error: &Error) -> Self {
        match error {
            Error::Invalid(errors) => errors.clone(),
            error => Self::single(field, error.detail()),
        }
    }

    /// Whether there is a message about `field`.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All messages with their fields, for a form that is shown again.
    pub fn by_field(&self) -> Vec<FieldMessage<'_>> {
        let fields = self.0.iter();
        let messages =
            fields.flat_map(|(field, texts)| texts.iter().map(|text| FieldMessage { field, text }));
        messages.collect()
    }

    /// All messages, ordered by field.
    pub fn messages(&self) -> Vec<&str> {
        self.0.values().flatten().map(String::as_str).collect()
    }
}

impl Error {
    /// An [`Error::Invalid`] with a single message about `field`.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(FieldErrors::single(field, message))
    }
}

/// A message about a field.
#[derive(Debug, Serialize)]
pub struct FieldMessage<'a> {
    field: &'static str,
    text: &'a str,
}
