//! An admin's note on an action, stored with its audit event.

use crate::error::FieldErrors;
use crate::identity::validate_line;
use crate::models::event::Actor;
use crate::web::body::Fields;

/// A note, as it was typed.
#[derive(Default)]
pub struct AdminNote(String);

impl AdminNote {
    /// The maximum length, in characters.
    pub const MAX: usize = 200;

    /// Reads the field `note`.
    pub fn read(fields: &mut Fields) -> Self {
        Self(fields.raw("note"))
    }

    /// The text, to show in the form again.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The actor with this note.
    ///
    /// # Errors
    /// Field errors of `note` if it is too long or has control characters.
    pub fn attach_to(&self, actor: Actor) -> Result<Actor, FieldErrors> {
        let mut note = None;
        if !self.0.trim().is_empty() {
            let checked = validate_line(&self.0, Self::MAX);
            let checked = checked.map_err(|complaint| FieldErrors::single("note", complaint))?;
            note = Some(checked.to_owned());
        }
        Ok(Actor { note, ..actor })
    }
}
