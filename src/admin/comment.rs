//! What an admin says about an action: stored with its event in the audit log.

use crate::error::{Error, FieldErrors};
use crate::identity::checked;
use crate::models::event::Actor;
use crate::web::body::Fields;

/// A note, as it was typed.
pub struct Note(String);

impl Note {
    /// The maximum length, in characters.
    pub const MAX: usize = 200;

    /// The form's field `note`.
    pub fn read(fields: &mut Fields) -> Self {
        Self(fields.raw("note"))
    }

    /// The text, for a form that is shown again.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The actor with this note.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `note` if it is too long or has control characters.
    pub fn signed(&self, actor: Actor) -> Result<Actor, Error> {
        let mut note = None;
        if !self.0.trim().is_empty() {
            let checked = checked(&self.0, Self::MAX);
            let checked = checked.map_err(|complaint| FieldErrors::one("note", complaint))?;
            note = Some(checked.to_owned());
        }
        Ok(Actor { note, ..actor })
    }
}
