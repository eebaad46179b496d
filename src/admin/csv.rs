//! A list as a CSV file, however long.

use std::io;

use rocket::futures::{Stream, StreamExt, stream};
use rocket::http::{ContentType, Header};
use rocket::response::{self, Responder};
use rocket::{Request, Response};
use sqlx::FromRow;
use sqlx::any::AnyRow;
use tokio_util::io::StreamReader;

use super::list::PER_PAGE;
use crate::auth::Auth;
use crate::error::Error;
use crate::models::list::{List, Start};
use crate::models::now;
use crate::web::time::rfc3339;

/// Rows that are read, held and sent at once.
const CHUNK: usize = 10 * PER_PAGE;
/// What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What a spreadsheet may split a line at, whatever is quoted: which one it expects depends on its
/// language.
const SEPARATORS: [char; 5] = [',', ';', '\t', '\r', '\n'];
/// Tells Excel that the file is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A file to be downloaded. Should the database fail in the middle, the response breaks off: a client sees that it
/// is not complete.
pub struct Csv {
    name: String,
    lines: Box<dyn Stream<Item = io::Result<io::Cursor<Vec<u8>>>> + Send + Unpin>,
}

impl<'r> Responder<'r, 'static> for Csv {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let disposition = format!("attachment; filename=\"{}.csv\"", self.name);
        Response::build()
            .header(ContentType::CSV)
            .header(Header::new("Content-Disposition", disposition))
            .streamed_body(StreamReader::new(self.lines))
            .ok()
    }
}

/// A line's cells.
type Cells = Vec<Option<String>>;

/// The rows of a list, and what the file has of each.
pub struct Rows<T> {
    auth: Auth,
    list: List,
    heading: &'static [&'static str],
    cells: fn(T) -> Cells,
}

impl<T> Rows<T>
where
    T: Send + Unpin + for<'r> FromRow<'r, AnyRow> + 'static,
{
    /// Those of a list.
    pub fn new(
        auth: &Auth,
        list: List,
        heading: &'static [&'static str],
        cells: fn(T) -> Cells,
    ) -> Self {
        Self {
            auth: auth.clone(),
            list,
            heading,
            cells,
        }
    }

    /// The file. The first rows are read before anything is sent, so that an error has its status.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn download(self, name: &str) -> Result<Csv, Error> {
        let heading = self.heading.iter().map(|name| Some((*name).to_owned()));
        let mut first = BYTE_ORDER_MARK.as_bytes().to_vec();
        first.extend(record(&heading.collect::<Vec<_>>()));
        let (rows, next) = self.chunk(Start::First).await?;
        first.extend(rows);
        let rest = stream::unfold((self, next), |(rows, next)| async move {
            match rows.chunk(Start::After(next?)).await {
                Ok((lines, next)) => Some((Ok(io::Cursor::new(lines)), (rows, next))),
                Err(error) => {
                    tracing::warn!("a download breaks off: {error}");
                    Some((Err(io::Error::other("the database failed")), (rows, None)))
                }
            }
        });
        let day = rfc3339(now()).unwrap_or_default();
        Ok(Csv {
            name: format!("{name}-{}", &day[..day.len().min(10)]),
            lines: Box::new(stream::iter([Ok(io::Cursor::new(first))]).chain(rest.boxed())),
        })
    }

    /// Reads some rows. A connection for each chunk: a client that reads slowly holds none.
    async fn chunk(
        &self,
        start: Start,
    ) -> Result<(Vec<u8>, Option<crate::models::list::Cursor>), Error> {
        let mut db = self.auth.pool().read_long().await?;
        let page = self.list.page::<T>(&mut db, start, CHUNK).await?;
        let lines = page
            .rows
            .into_iter()
            .flat_map(|row| record(&(self.cells)(row)));
        Ok((lines.collect(), page.next))
    }
}

/// A line of CSV (RFC 4180) in which no cell is a formula.
fn record(cells: &[Option<String>]) -> Vec<u8> {
    let inert = cells
        .iter()
        .map(|cell| inert(cell.as_deref().unwrap_or_default()));
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(vec![]);
    // Memory takes whatever is written.
    let _ = writer.write_record(inert);
    writer.into_inner().unwrap_or_default()
}

/// The text with an apostrophe before every character that a formula could begin with: at the beginning, or
/// after a separator, with nothing but separators, blanks and quotes in between. A text that needs one
/// begins with one, too, so that it is seen to be changed.
fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len() + 2);
    let mut begins = true;
    for char in text.chars() {
        if begins && FORMULA.contains(&char) {
            inert.push('\'');
        }
        let goes_on = char.is_whitespace() || char == '"';
        begins = SEPARATORS.contains(&char) || begins && goes_on;
        inert.push(char);
    }
    let opens = text.starts_with(SEPARATORS);
    if (opens || inert.len() > text.len()) && !inert.starts_with('\'') {
        inert.insert(0, '\'');
    }
    inert
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_formula_begins_in_a_cell_however_it_is_split() {
        for (text, wanted) in [
            ("=1+1", "'=1+1"),
            (" =1", "' '=1"),
            ("x;=cmd|' /C calc'!A0", "'x;'=cmd|' /C calc'!A0"),
            ("x; \"=1", "'x; \"'=1"),
            ("x,@y;;+z", "'x,'@y;;'+z"),
            ("x\t-1\r\n＝2", "'x\t'-1\r\n'＝2"),
            ("\tx", "'\tx"),
            ("a=b; c-d", "a=b; c-d"),
            ("2026-03-03T12:00:00Z", "2026-03-03T12:00:00Z"),
            ("x-ray (2); y", "x-ray (2); y"),
            ("", ""),
        ] {
            assert_eq!(inert(text), wanted, "{text:?}");
        }
    }
}
