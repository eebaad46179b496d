//! Streaming CSV downloads of whole lists.

use std::io;

use futures::{Stream, StreamExt, stream};
use rocket::http::{ContentType, Header};
use rocket::response::{self, Responder};
use rocket::{Request, Response};
use sqlx::FromRow;
use sqlx::any::AnyRow;
use tokio_util::io::StreamReader;

use super::list::PER_PAGE;
use crate::auth::Auth;
use crate::error::Error;
use crate::models::list::{List, PagePosition};
use crate::models::now;
use crate::web::time::rfc3339;

/// Rows read and sent at a time.
const CHUNK_ROWS: usize = 10 * PER_PAGE;
/// Characters that start a formula in a spreadsheet (OWASP, "CSV Injection").
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Characters that a spreadsheet may split a line at, even inside quotes. Which one depends on its language.
const SEPARATORS: [char; 5] = [',', ';', '\t', '\r', '\n'];
/// Tells Excel that the file is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A file download. If the database fails midway, the response breaks off, so that the client sees it is incomplete.
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

type Cells = Vec<Option<String>>;

/// The rows of a list, and how each becomes a line of the file.
pub struct CsvRows<T> {
    auth: Auth,
    list: List,
    /// Comma-separated column names.
    header: &'static str,
    cells: fn(T) -> Cells,
}

impl<T> CsvRows<T>
where
    T: Send + Unpin + for<'r> FromRow<'r, AnyRow> + 'static,
{
    /// The rows of `list`.
    pub fn new(auth: &Auth, list: List, header: &'static str, cells: fn(T) -> Cells) -> Self {
        Self {
            auth: auth.clone(),
            list,
            header,
            cells,
        }
    }

    /// The file. Reads the first rows before sending anything, so that an error still has its status.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn download(self, name: &str) -> Result<Csv, Error> {
        let header = self.header.split(',').map(|name| Some(name.to_owned()));
        let mut first = BYTE_ORDER_MARK.as_bytes().to_vec();
        first.extend(record(&header.collect::<Vec<_>>()));
        let (rows, next) = self.chunk(PagePosition::First).await?;
        first.extend(rows);
        let rest = stream::unfold((self, next), |(rows, next)| async move {
            match rows.chunk(PagePosition::After(next?)).await {
                Ok((lines, next)) => Some((Ok(io::Cursor::new(lines)), (rows, next))),
                Err(error) => {
                    tracing::warn!("CSV download aborted: {error}");
                    Some((Err(io::Error::other("database error")), (rows, None)))
                }
            }
        });
        let day = rfc3339(now()).unwrap_or_default();
        Ok(Csv {
            name: format!("{name}-{}", &day[..day.len().min(10)]),
            lines: Box::new(stream::iter([Ok(io::Cursor::new(first))]).chain(rest.boxed())),
        })
    }

    /// Reads one chunk on its own database connection, so that a slow client holds none.
    async fn chunk(
        &self,
        position: PagePosition,
    ) -> Result<(Vec<u8>, Option<crate::models::list::Cursor>), Error> {
        let mut db = self.auth.pool().read_long().await?;
        let page = self.list.page::<T>(&mut db, position, CHUNK_ROWS).await?;
        let lines = page
            .rows
            .into_iter()
            .flat_map(|row| record(&(self.cells)(row)));
        Ok((lines.collect(), page.next))
    }
}

/// A line of CSV (RFC 4180) in which no cell is a formula.
fn record(cells: &[Option<String>]) -> Vec<u8> {
    let escaped = cells
        .iter()
        .map(|cell| escape_formulas(cell.as_deref().unwrap_or_default()));
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(vec![]);
    // Writing to memory cannot fail.
    let _ = writer.write_record(escaped);
    writer.into_inner().unwrap_or_default()
}

/// Puts an apostrophe before every character that could start a formula: at the beginning of the text or after a
/// separator, where only separators, blanks and quotes may come between. A changed text also begins with an
/// apostrophe, so that the change shows.
fn escape_formulas(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    let mut at_start = true;
    for char in text.chars() {
        if at_start && FORMULA_STARTS.contains(&char) {
            escaped.push('\'');
        }
        let is_filler = char.is_whitespace() || char == '"';
        at_start = SEPARATORS.contains(&char) || at_start && is_filler;
        escaped.push(char);
    }
    let starts_with_separator = text.starts_with(SEPARATORS);
    if (starts_with_separator || escaped.len() > text.len()) && !escaped.starts_with('\'') {
        escaped.insert(0, '\'');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_starts_a_formula_however_it_is_split() {
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
            assert_eq!(escape_formulas(text), wanted, "{text:?}");
        }
    }
}
