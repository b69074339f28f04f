//! `verge health`: asks a running edge how it is, for container runtimes that start a program to know.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Failure, print};

/// Where the admin listener is, unless the edge was told otherwise.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);
/// For the connection, and for every pause of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The answer is a line or two.
const LONGEST: u64 = 8 * 1024;

/// What `verge health` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The edge's admin listener.
    #[arg(long, value_name = "ADDR", default_value_t = ADMIN)]
    admin: SocketAddr,
    /// Whether it is ready for clients, which it is not while it drains; not only whether it lives.
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let path = if args.ready { "/readyz" } else { "/livez" };
    let answer = ask(args.admin, path).map_err(|error| {
        format!(
            "no answer from http://{}{path}: {error}; is an edge running whose admin listener is there?",
            args.admin
        )
    })?;
    let (status, reason) = read(&answer);
    match status {
        Some(200) => print(format!("{reason}\n").as_bytes()),
        Some(status) => Err(format!("http://{}{path}: {status}: {reason}", args.admin)),
        None => Err(format!("http://{}{path}: what answers is not HTTP", args.admin)),
    }
}

/// All of an answer, but no more than `LONGEST`. HTTP/1.0: it ends with the connection.
fn ask(admin: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect_timeout(&admin, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    connection.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Status, if this is an answer of HTTP, and the first line of the content, without what a terminal would obey.
fn read(answer: &[u8]) -> (Option<u16>, String) {
    let answer = String::from_utf8_lossy(answer);
    let status = answer
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|status| status.parse().ok());
    let content = answer.split_once("\r\n\r\n").map_or("", |(_, content)| content);
    let reason = content.lines().next().unwrap_or("");
    (status, reason.chars().filter(|letter| !letter.is_control()).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What comes of an answer, and what was asked.
    fn against(answer: &'static [u8], ready: bool) -> (Result<(), Failure>, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let admin = listener.local_addr().unwrap();
        let edge = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            connection.write_all(answer).unwrap();
            String::from_utf8(asked).unwrap()
        });
        let result = run(&Args { admin, ready });
        (result, edge.join().unwrap())
    }

    #[test]
    fn a_living_edge() {
        let (result, asked) = against(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlive\n", false);
        assert_eq!((result, asked.as_str()), (Ok(()), "GET /livez HTTP/1.0\r\n\r\n"));
    }

    #[test]
    fn a_ready_edge() {
        let (result, asked) = against(b"HTTP/1.0 200 OK\r\n\r\nready", true);
        assert_eq!((result, asked.as_str()), (Ok(()), "GET /readyz HTTP/1.0\r\n\r\n"));
    }

    #[test]
    fn a_draining_edge() {
        let (result, _) = against(
            b"HTTP/1.0 503 Service Unavailable\r\n\r\nnot ready: \x1bdraining\nmore",
            true,
        );
        let failure = result.unwrap_err();
        assert!(failure.ends_with("/readyz: 503: not ready: draining"), "{failure}");
    }

    #[test]
    fn what_is_no_edge() {
        for answer in [
            b"".as_slice(),
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 2",
            b"HTTP/1.1 abc\r\n\r\n",
            b"\xff\xfe",
        ] {
            let failure = against(answer, false).0.unwrap_err();
            assert!(failure.ends_with("what answers is not HTTP"), "{failure}");
        }
    }

    #[test]
    fn nobody() {
        // Bound, and not listening: no one else can have the port, and it refuses.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let admin = socket.local_addr().unwrap().as_socket().unwrap();
        let failure = run(&Args { admin, ready: false }).unwrap_err();
        assert!(
            failure.starts_with(&format!("no answer from http://{admin}/livez: ")),
            "{failure}"
        );
    }
}
