//! The prose of pages and comments: short sentences, and one name for one thing.

use std::fs;

use crate::architecture::files;
use crate::docs::pages;

/// The maximum number of words in a sentence.
const MAX_WORDS: usize = 40;

/// Words that this project does not use, and what to write instead.
const WORDS: [(&str, &str); 8] = [
    ("trail", "audit log"),
    ("door", "channel"),
    ("unfit", "invalid"),
    ("grave", "sensitive"),
    ("disuse", "idle timeout"),
    ("patience", "timeout"),
    ("whoever", "the client, the user, an admin, the operator"),
    ("mend", "fix"),
];

/// The sentences of a page without code. Each cell of a table is a sentence.
fn sentences(page: &str) -> Vec<String> {
    let prose: String = page.split("```").step_by(2).collect();
    let mut pieces: Vec<String> = vec![];
    for line in prose.lines() {
        let starts = line.trim().is_empty()
            || line.starts_with(['#', '|', '-', '!'])
            || line.starts_with(|c: char| c.is_ascii_digit());
        if starts || pieces.is_empty() {
            pieces.push(String::new());
        }
        let cells: Vec<_> = line.split(" | ").collect();
        let last = pieces.last_mut().unwrap();
        last.push(' ');
        last.push_str(cells[0]);
        pieces.extend(cells[1..].iter().map(|cell| (*cell).to_owned()));
    }
    let mut found = vec![];
    for piece in pieces {
        let mut sentence = vec![];
        for word in piece.split_whitespace() {
            sentence.push(word.to_owned());
            if word
                .trim_end_matches(['*', ')', '`'])
                .ends_with(['.', ':', ';', '?'])
            {
                found.push(std::mem::take(&mut sentence).join(" "));
            }
        }
        found.push(sentence.join(" "));
    }
    found
}

#[test]
fn no_sentence_of_a_page_is_longer_than_forty_words() {
    let mut read = 0;
    for (path, page) in pages() {
        for sentence in sentences(&page) {
            let words = sentence.split(' ').count();
            assert!(
                words <= MAX_WORDS,
                "{}: {words} words: {sentence}",
                path.display()
            );
            read += 1;
        }
    }
    assert!(read > 500, "{read} sentences");
}

/// Whether the text contains the word as a whole word.
fn contains_word(text: &str, word: &str) -> bool {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .into_iter()
        .any(|other| other.eq_ignore_ascii_case(word))
}

#[test]
fn pages_and_comments_use_the_projects_terms() {
    let mut lines: Vec<(String, String)> = vec![];
    for (path, page) in pages() {
        lines.extend(
            page.lines()
                .map(|line| (path.display().to_string(), line.to_owned())),
        );
    }
    let folders = ["src", "engine/src", "engine/tests", "xtask/src", "tests"];
    for path in folders.into_iter().flat_map(files) {
        if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("prose.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let comments = text
                .lines()
                .filter(|line| line.trim_start().starts_with("//"));
            lines.extend(comments.map(|line| (path.display().to_string(), line.to_owned())));
        }
    }
    assert!(lines.len() > 5000, "{} lines", lines.len());
    for (path, line) in lines {
        for (word, instead) in WORDS {
            assert!(
                !contains_word(&line, word),
                "{path}: write {instead} for {word}: {line}"
            );
        }
    }
    assert!(contains_word("The Door.", "door") && !contains_word("doors", "door"));
}
