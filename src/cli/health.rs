//! `verge health`: asks a running edge how it is, for container runtimes that start a program to know.

use super::api::{Answer, Reach, printable};
use super::{Failure, print};

/// What `verge health` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    /// Whether it is ready for clients, which it is not while it drains; not only whether it lives.
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let path = if args.ready { "/readyz" } else { "/livez" };
    let Answer { status, content } = args.reach.ask("GET", path, "")?;
    let reason = printable(content.lines().next().unwrap_or(""));
    match status {
        200 => print(format!("{reason}\n").as_bytes()),
        status => Err(format!("http://{}{path}: {status}: {reason}", args.reach.admin)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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
        let result = run(&Args {
            reach: Reach { admin },
            ready,
        });
        (result, edge.join().unwrap())
    }

    #[test]
    fn a_living_edge() {
        let (result, asked) = against(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlive\n", false);
        assert_eq!((result, asked.lines().next()), (Ok(()), Some("GET /livez HTTP/1.0")));
    }

    #[test]
    fn a_ready_edge() {
        let (result, asked) = against(b"HTTP/1.0 200 OK\r\n\r\nready", true);
        assert_eq!((result, asked.lines().next()), (Ok(()), Some("GET /readyz HTTP/1.0")));
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
        let failure = run(&Args {
            reach: Reach { admin },
            ready: false,
        })
        .unwrap_err();
        assert!(
            failure.starts_with(&format!("no answer from http://{admin}/livez: ")),
            "{failure}"
        );
    }
}
