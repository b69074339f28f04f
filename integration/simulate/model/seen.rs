//! What a client sees of an answer's head.

use std::fmt::Write;

use verge::pipeline::{Answer, AnswerHead, BodyLength};

/// A head as it was seen.
#[derive(Debug)]
pub struct Seen {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// How the body is delimited.
    pub length: BodyLength,
    /// It is the edge's own: why.
    pub own: Option<String>,
    /// `Cache-Status` says that it is a hit.
    pub hit: bool,
    /// `Cache-Status`
    pub cache_status: String,
}

impl Seen {
    /// What is seen of `answer`.
    pub fn new(answer: &Answer<'_>) -> Self {
        let mut fields = Vec::new();
        answer.each_field(|name, value| {
            fields.push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        });
        let own = match &answer.head {
            AnswerHead::Own(error, detail, _) => Some(detail.unwrap_or(error).to_owned()),
            _ => None,
        };
        let mut cache_status = Vec::new();
        answer.write_cache_status(&mut cache_status);
        Seen {
            status: answer.status.as_u16(),
            fields,
            length: answer.length,
            own,
            hit: answer.cache_status.hit,
            cache_status: String::from_utf8_lossy(&cache_status).into_owned(),
        }
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The number that is a field's value.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.field(name)?.parse().ok()
    }

    /// A line for people.
    pub fn shown(&self) -> String {
        let mut text = format!("{} {}", self.status, self.cache_status);
        for name in ["x-fetch", "x-validated", "age", "content-range", "content-length"] {
            if let Some(value) = self.field(name) {
                // Writing to a String does not fail.
                let _ = write!(text, " {name}={value}");
            }
        }
        if let Some(why) = &self.own {
            let _ = write!(text, " ({why})");
        }
        text
    }

    /// What kind of answer it is, for the tally.
    pub fn kind(&self) -> &'static str {
        let has = |text: &str| self.cache_status.contains(text);
        match self.status {
            _ if self.own.is_some() => "answers: the edge's own",
            206 => "answers: 206",
            304 => "answers: 304",
            412 | 416 => "answers: 412, 416",
            500..=599 => "answers: 5xx of the origin",
            _ if has("stale-while-revalidate") => "answers: stale while revalidated",
            _ if has("stale-if-error") => "answers: stale for an error",
            _ if self.hit => "answers: hits",
            _ if has("fwd-status=304") => "answers: confirmed",
            _ if has("collapsed") => "answers: collapsed",
            _ if has("stored") => "answers: fetched and stored",
            _ => "answers: passed",
        }
    }
}
