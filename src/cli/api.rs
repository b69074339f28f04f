//! Asking a running edge through its admin listener.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::Failure;

/// Where the admin listener is, unless the edge was told otherwise.
pub(super) const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);
/// For the connection, and for every pause of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: u64 = 64 << 20;
/// Where the token is taken from.
const TOKEN: &str = "VERGE_ADMIN_TOKEN";

/// How to reach an edge.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Reach {
    /// The edge's admin listener. If it asks for a token, that is taken from VERGE_ADMIN_TOKEN.
    #[arg(long, value_name = "ADDR", default_value_t = ADMIN)]
    pub(super) admin: SocketAddr,
}

/// What an edge answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content: String,
}

impl Reach {
    /// What the edge answers. HTTP/1.0: the answer ends with the connection.
    pub(super) fn ask(&self, method: &str, path: &str, content: &str) -> Result<Answer, Failure> {
        let no_answer = |error: std::io::Error| {
            format!(
                "no answer from http://{}{path}: {error}; is an edge running whose admin listener is there?",
                self.admin
            )
        };
        let answer = self.exchange(method, path, content).map_err(no_answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|status| status.parse().ok());
        let (Some(status), Some((_, content))) = (status, answer.split_once("\r\n\r\n")) else {
            return Err(format!("http://{}{path}: what answers is not HTTP", self.admin));
        };
        Ok(Answer {
            status,
            content: content.to_owned(),
        })
    }

    fn exchange(&self, method: &str, path: &str, content: &str) -> std::io::Result<Vec<u8>> {
        let mut connection = TcpStream::connect_timeout(&self.admin, PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let mut head = format!("{method} {path} HTTP/1.0\r\nVerge-Admin: 1\r\n");
        if let Ok(token) = std::env::var(TOKEN) {
            // A token with a line break in it would be a field of its own.
            let token: String = token.trim().chars().filter(|letter| !letter.is_control()).collect();
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if !content.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", content.len()));
        }
        connection.write_all(format!("{head}\r\n{content}").as_bytes())?;
        let mut answer = Vec::new();
        connection.take(LONGEST).read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// The same as JSON; an error's own words if it is one.
    pub(super) fn ask_json(&self, method: &str, path: &str, content: &str) -> Result<serde_json::Value, Failure> {
        let Answer { status, content } = self.ask(method, path, content)?;
        let value: Option<serde_json::Value> = serde_json::from_str(&content).ok();
        match (status, value) {
            (200, Some(value)) => Ok(value),
            (_, Some(value)) if value["error"].is_string() => Err(printable(value["error"].as_str().unwrap_or(""))),
            (status, _) => Err(format!("http://{}{path}: {status}", self.admin)),
        }
    }
}

/// `text` without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
