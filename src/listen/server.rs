//! The threads that serve: each a runtime of its own, with a socket of its own on every address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::accept::{Acceptor, Secure, Spoken};
use super::suspects::Suspects;
use crate::config::{Listener, Speaks};
use crate::pipeline::{Edge, Spawn};
use crate::tls::Terminator;

/// Connections that wait to be taken; the kernel bounds it further (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// The sockets, bound but not yet served.
pub struct Bound {
    /// For each thread its socket on each address, and what is spoken there.
    sockets: Vec<Vec<(std::net::TcpListener, Speaks)>>,
    /// Where they listen.
    pub addresses: Vec<SocketAddr>,
}

impl Bound {
    /// Binds every listener's address once for each of `threads`. An address with port 0 gets one port for all threads.
    pub fn new(listeners: &[Listener], threads: usize) -> io::Result<Bound> {
        let mut bound = Bound {
            sockets: (0..threads).map(|_| Vec::new()).collect(),
            addresses: Vec::new(),
        };
        for Listener { address, speaks } in listeners {
            // SO_REUSEPORT would let a second edge take a part of the first one's connections without a word.
            drop(bind(*address, false).map_err(|error| taken(address, &error))?);
            let mut actual = *address;
            for sockets in &mut bound.sockets {
                let socket = bind(actual, true).map_err(|error| taken(address, &error))?;
                actual = socket.local_addr()?;
                sockets.push((socket, speaks.clone()));
            }
            bound.addresses.push(actual);
        }
        Ok(bound)
    }
}

fn taken(address: &SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot listen on {address}: {error}; end the server that does, or name another address"),
    )
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // [::] takes IPv4 as well.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Inherited by accepted connections.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A running edge; stops when dropped.
pub struct Server {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// What its requests share.
    pub edge: Arc<Edge>,
    /// What its TLS listeners share.
    pub tls: Option<Arc<Terminator>>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves `edge` on the bound sockets, a thread for each set of them. Without `tls`, a connection where TLS is spoken
    /// is closed.
    pub fn start(edge: Arc<Edge>, tls: Option<Arc<Terminator>>, bound: Bound) -> io::Result<Server> {
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(AtomicUsize::new(0));
        let handshakes = Arc::new(AtomicUsize::new(0));
        let suspects = Arc::new(Suspects::default());
        let mut threads = Vec::new();
        for (index, sockets) in bound.sockets.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let mut listener = 0;
            let mut acceptors = Vec::new();
            for (socket, speaks) in sockets {
                let speaks = match (speaks, &tls) {
                    (Speaks::Clear { h2c }, _) => Spoken::Clear { h2c },
                    (Speaks::Tls(_), None) => continue,
                    (Speaks::Tls(_), Some(tls)) => {
                        listener += 1;
                        Spoken::Tls(Secure {
                            terminator: Arc::clone(tls),
                            listener: listener - 1,
                            handshakes: Arc::clone(&handshakes),
                        })
                    }
                };
                let (edge, connections) = (Arc::clone(&edge), Arc::clone(&connections));
                let suspects = Arc::clone(&suspects);
                acceptors.push((
                    socket,
                    Acceptor {
                        speaks,
                        edge,
                        connections,
                        suspects,
                    },
                ));
            }
            let mut stopped = stopped.clone();
            let serve = move || {
                runtime.block_on(async {
                    for (socket, acceptor) in acceptors {
                        match TcpListener::from_std(socket) {
                            Ok(listener) => {
                                tokio::spawn(acceptor.accept(listener));
                            }
                            Err(error) => eprintln!("verge: a listening socket cannot be used: {error}"),
                        }
                    }
                    // An error says that the server is gone, which means the same.
                    let _ = stopped.wait_for(|stopped| *stopped).await;
                });
                runtime.shutdown_background();
            };
            threads.push(
                std::thread::Builder::new()
                    .name(format!("verge-{index}"))
                    .spawn(serve)?,
            );
        }
        Ok(Server {
            addresses: bound.addresses,
            edge,
            tls,
            stop,
            threads,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody listening means that all threads have ended.
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("verge: a serving thread ended in a panic");
            }
        }
    }
}

/// Runs fills on the thread whose request began them.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnThisThread;

impl Spawn for OnThisThread {
    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(task);
    }
}
