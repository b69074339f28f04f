//! One case over one transport.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;

use super::cases::{Body, Case};
use crate::certificates::secure;
use crate::edge::{HOST, Rig};
use crate::harness::{Client, Response};
use crate::multiplexed::{H2, Windows};

/// An answer, without what belongs to its connection.
#[derive(Debug, PartialEq)]
pub struct Got {
    pub status: u16,
    /// Sorted by name.
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    /// Interim responses, but for `100`: whether it is needed depends on how fast the body comes (RFC 9110 10.1.1).
    interims: Vec<(u16, Vec<(String, String)>)>,
    /// What went wrong.
    trouble: Option<String>,
}

/// Fields of the connection (RFC 9110 7.6.1), and those that tell the time of day.
const NOT_COMPARED: [&str; 5] = ["connection", "keep-alive", "transfer-encoding", "date", "age"];

impl Got {
    fn of(response: Response, interims: Vec<(u16, Vec<(String, String)>)>, trouble: Option<String>) -> Got {
        let mut got = Got {
            status: response.status,
            fields: compared(response.head.fields),
            body: response.body,
            interims,
            trouble,
        };
        got.forget_boundary();
        got
    }

    fn nothing(trouble: String) -> Got {
        Got {
            status: 0,
            fields: Vec::new(),
            body: Vec::new(),
            interims: Vec::new(),
            trouble: Some(trouble),
        }
    }

    /// The scheme is part of the key that boundaries are made from.
    fn forget_boundary(&mut self) {
        let boundary = self.fields.iter_mut().find_map(|(name, value)| {
            let boundary = value.strip_prefix("multipart/byteranges; boundary=")?.to_owned();
            assert_eq!(name, "content-type");
            *value = "multipart/byteranges".to_owned();
            Some(boundary)
        });
        if let Some(boundary) = boundary {
            let text = String::from_utf8_lossy(&self.body);
            self.body = text.replace(&boundary, "BOUNDARY").into_bytes();
        }
    }

    /// Whether a member of the field's parameters is `word`.
    pub fn says(&self, name: &str, word: &str) -> bool {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.is_some_and(|(_, value)| value.split("; ").any(|said| said == word))
    }

    /// What differs, and no more.
    pub fn difference(&self, other: &Got) -> String {
        let short = |got: &Got| {
            let body = &got.body[..got.body.len().min(80)];
            format!("{} bytes {}", got.body.len(), body.escape_ascii())
        };
        let lacks = |of: &Got, than: &Got| -> Vec<(String, String)> {
            let missing = of.fields.iter().filter(|field| !than.fields.contains(field));
            missing.cloned().collect()
        };
        format!(
            "{} {:?} {:?} {:?} {} <> {} {:?} {:?} {:?} {}",
            self.status,
            self.trouble,
            self.interims,
            lacks(self, other),
            short(self),
            other.status,
            other.trouble,
            other.interims,
            lacks(other, self),
            short(other),
        )
    }
}

fn compared(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    fields.retain(|(name, _)| !NOT_COMPARED.contains(&name.as_str()));
    // Stable, so that lines of one name keep their order.
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

/// Asks over one transport.
pub trait Asker {
    fn ask(&mut self, case: &Case) -> Got;
}

/// HTTP/1.1, a connection for each request.
pub struct Http1 {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Http1 {
    pub fn clear(rig: &Rig) -> Http1 {
        Http1 {
            address: rig.clear(),
            tls: None,
        }
    }

    pub fn secure(rig: &Rig) -> Http1 {
        Http1 {
            address: rig.tls(),
            tls: Some(Arc::clone(&rig.old)),
        }
    }
}

impl Asker for Http1 {
    fn ask(&mut self, case: &Case) -> Got {
        match &self.tls {
            None => exchange(Client::to(self.address), case),
            Some(config) => exchange(secure(self.address, config, HOST), case),
        }
    }
}

fn exchange<S: Read + Write>(mut client: Client<S>, case: &Case) -> Got {
    client.try_tx(message(case));
    let mut interims = Vec::new();
    loop {
        let mut response = match client.try_rx_head() {
            Ok(response) => response,
            Err(trouble) => return Got::nothing(format!("{trouble:?}")),
        };
        if (101..200).contains(&response.status) {
            interims.push((response.status, compared(response.head.fields)));
        } else if response.status != 100 {
            let body = match case.method {
                "HEAD" => surplus(&mut client, &response),
                _ => client.try_rx_body(&response),
            };
            let trouble = body.as_ref().err().map(|_| "cut off".to_owned());
            response.body = body.unwrap_or_default();
            return Got::of(response, interims, trouble);
        }
    }
}

/// What follows a head that nothing may follow, where the connection is closed.
fn surplus<S: Read + Write>(client: &mut Client<S>, response: &Response) -> Result<Vec<u8>, crate::harness::Trouble> {
    match response.head.field("connection") {
        Some("close") => Ok(client.rest()),
        _ => Ok(Vec::new()),
    }
}

/// A request, byte by byte as `case` says.
fn message(case: &Case) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", case.method, case.target, case.host);
    for line in &case.fields {
        head.push_str(line);
        head.push_str("\r\n");
    }
    let body = match &case.body {
        Body::None => Vec::new(),
        Body::Length(body) => {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            body.clone()
        }
        Body::Unknown(body) => {
            head.push_str("Transfer-Encoding: chunked\r\n");
            let pieces = body.chunks(16_000).map(|piece| {
                let size = format!("{:x}\r\n", piece.len());
                [size.as_bytes(), piece, b"\r\n"].concat()
            });
            [pieces.collect::<Vec<_>>().concat(), b"0\r\n\r\n".to_vec()].concat()
        }
    };
    head.push_str("\r\n");
    let head: Vec<u8> = head.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    [head, body].concat()
}

/// HTTP/2, one connection for all.
pub struct Http2(H2);

impl Http2 {
    pub fn clear(rig: &Rig) -> Http2 {
        Http2(H2::clear(rig.clear(), Windows::default()))
    }

    pub fn secure(rig: &Rig) -> Http2 {
        Http2(H2::secure(rig.tls(), &rig.either, HOST))
    }
}

impl Asker for Http2 {
    fn ask(&mut self, case: &Case) -> Got {
        let mut fields: Vec<&str> = case.fields.iter().map(String::as_str).collect();
        let (body, length) = match &case.body {
            Body::None => (None, None),
            Body::Length(body) => (Some(body), Some(format!("Content-Length: {}", body.len()))),
            Body::Unknown(body) => (Some(body), None),
        };
        fields.extend(length.as_deref());
        let end = body.is_none_or(|body| body.is_empty() && length.is_some());
        let mut stream = self.0.request(case.method, &case.host, &case.target, &fields, end);
        if let (Some(body), false) = (body, end) {
            // An edge that wants no more of it answers all the same.
            let _ = stream.try_tx(body.clone(), true);
        }
        let mut interims = Vec::new();
        while let Some((status, head)) = stream.rx_interim() {
            if status != 100 {
                interims.push((status, compared(head.fields)));
            }
        }
        match stream.try_rx() {
            Ok(response) => Got::of(response, interims, None),
            Err(error) => Got::nothing(error.to_string()),
        }
    }
}
