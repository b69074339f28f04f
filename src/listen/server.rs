//! The threads that serve: each a runtime of its own, with a socket of its own on every address.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::accept::{Acceptor, Shared};
use super::live::{ListenerId, Live, Place, Serving, Spoken, Wakers};
use crate::config::{Listener, Speaks};
use crate::pipeline::{Edge, Spawn};
use crate::telemetry::events::{self, Event};
use crate::tls::Terminator;

/// Connections that wait to be taken; the kernel bounds it further (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// The sockets, bound but not yet served.
pub struct Bound {
    listeners: Vec<BoundListener>,
    /// Where they listen.
    pub addresses: Vec<SocketAddr>,
}

/// A listener's sockets.
struct BoundListener {
    address: Address,
    /// For each thread one.
    sockets: Vec<std::net::TcpListener>,
}

/// Where a listener listens.
#[derive(Clone, Copy, Debug)]
struct Address {
    configured: SocketAddr,
    /// The same, but for port 0.
    actual: SocketAddr,
}

impl Bound {
    /// Binds every listener's address once for each of `threads`. An address with port 0 gets one port for all threads.
    pub fn new(listeners: &[Listener], threads: usize) -> io::Result<Bound> {
        let bind = |listener: &Listener| BoundListener::new(listener.address, threads);
        let listeners = listeners.iter().map(bind).collect::<io::Result<Vec<_>>>()?;
        Ok(Bound {
            addresses: listeners.iter().map(|listener| listener.address.actual).collect(),
            listeners,
        })
    }
}

impl BoundListener {
    fn new(configured: SocketAddr, threads: usize) -> io::Result<BoundListener> {
        // SO_REUSEPORT would let a second edge take a part of the first one's connections without a word.
        drop(bind(configured, false).map_err(|error| taken(&configured, &error))?);
        let mut actual = configured;
        let mut sockets = Vec::new();
        for _ in 0..threads {
            let socket = bind(actual, true).map_err(|error| taken(&configured, &error))?;
            actual = socket.local_addr()?;
            sockets.push(socket);
        }
        let address = Address { configured, actual };
        Ok(BoundListener { address, sockets })
    }
}

fn taken(address: &SocketAddr, error: &io::Error) -> io::Error {
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied => "ports below 1024 take the capability CAP_NET_BIND_SERVICE, or name another",
        io::ErrorKind::AddrNotAvailable => "this machine does not have it; name one that it has",
        _ => "end the server that does, or name another address",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}; {mend}"))
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
    /// Where it listened at first.
    pub addresses: Vec<SocketAddr>,
    live: Arc<Live>,
    listening: Mutex<Listening>,
    threads: Vec<Thread>,
}

/// The listeners there are, in the configuration's order.
#[derive(Default)]
struct Listening {
    listeners: Vec<(ListenerId, Address)>,
    /// The identity of the next new one.
    next: ListenerId,
}

impl Listening {
    fn new_id(&mut self) -> ListenerId {
        self.next += 1;
        self.next
    }
}

/// A thread that serves.
struct Thread {
    orders: mpsc::UnboundedSender<Order>,
    wakers: Arc<Wakers>,
    handle: Option<JoinHandle<()>>,
}

/// What a thread is told to do.
enum Order {
    /// Take connections from this socket.
    Open(ListenerId, std::net::TcpListener, Place),
    /// Take no more of this listener's.
    Close(ListenerId),
}

impl Server {
    /// Serves `edge` on the bound sockets, a thread for each set of them. Without `tls`, a connection where TLS is spoken
    /// is closed.
    pub fn start(edge: Arc<Edge>, tls: Option<Arc<Terminator>>, bound: Bound) -> io::Result<Server> {
        let mut listening = Listening::default();
        let threads = bound.listeners.first().map_or(0, |first| first.sockets.len());
        let mut opened = Vec::new();
        for listener in bound.listeners {
            let id = listening.new_id();
            listening.listeners.push((id, listener.address));
            opened.push((id, listener.sockets));
        }
        let live = Arc::new(Live::new(serving(edge, tls, &listening)));
        let shared = Shared::new(&live);
        let start = |index| Thread::start(index, shared.clone());
        let server = Server {
            addresses: bound.addresses,
            threads: (0..threads).map(start).collect::<io::Result<_>>()?,
            listening: Mutex::new(listening),
            live,
        };
        opened.into_iter().for_each(|(id, sockets)| server.open(id, sockets));
        Ok(server)
    }

    /// What its requests share.
    pub fn edge(&self) -> Arc<Edge> {
        Arc::clone(&self.live.serving().edge)
    }

    /// What its TLS listeners share.
    pub fn tls(&self) -> Option<Arc<Terminator>> {
        self.live.serving().tls.clone()
    }

    /// Connections there are.
    pub fn connections(&self) -> usize {
        self.live.connections()
    }

    /// Those of them on listeners that speak TLS.
    pub fn secure_connections(&self) -> usize {
        self.live.secure_connections()
    }

    /// Has all requests from now on run on `edge` and `tls`, and listens where `edge`'s configuration says. Requests that
    /// are under way stay as they are. If an address cannot be listened on, nothing changes.
    pub fn change(&self, edge: Arc<Edge>, tls: Option<Arc<Terminator>>) -> io::Result<()> {
        let mut listening = self.listening.lock();
        let mut old = listening.listeners.clone();
        let mut changed = Listening {
            next: listening.next,
            ..Listening::default()
        };
        let mut opened = Vec::new();
        for Listener { address, .. } in &edge.config.listen {
            match old.iter().position(|(_, old)| old.configured == *address) {
                Some(kept) => changed.listeners.push(old.remove(kept)),
                None => {
                    let listener = BoundListener::new(*address, self.threads.len())?;
                    let id = changed.new_id();
                    changed.listeners.push((id, listener.address));
                    opened.push((id, listener.sockets));
                }
            }
        }
        self.live.exchange(serving(edge, tls, &changed));
        opened.into_iter().for_each(|(id, sockets)| self.open(id, sockets));
        old.into_iter().for_each(|(id, _)| self.close(id));
        *listening = changed;
        Ok(())
    }

    /// Where it listens, in the configuration's order.
    pub fn listening(&self) -> Vec<SocketAddr> {
        let listening = self.listening.lock();
        listening.listeners.iter().map(|(_, address)| address.actual).collect()
    }

    /// Takes no more connections, and waits until those there are have ended, each after what is under way on it, but
    /// for no longer than `longest`. Returns how many are left.
    pub async fn drain(&self, longest: Duration) -> usize {
        self.live.leave();
        for (id, _) in self.listening.lock().listeners.drain(..) {
            self.close(id);
        }
        self.threads.iter().for_each(|thread| thread.wakers.wake_all());
        match tokio::time::timeout(longest, self.live.empty()).await {
            Ok(()) => 0,
            Err(_) => self.live.connections(),
        }
    }

    fn open(&self, id: ListenerId, sockets: Vec<std::net::TcpListener>) {
        for (thread, socket) in self.threads.iter().zip(sockets) {
            thread.order(Order::Open(id, socket, self.live.accept()));
        }
    }

    fn close(&self, id: ListenerId) {
        self.threads.iter().for_each(|thread| thread.order(Order::Close(id)));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A thread without anybody to give it orders ends.
        let handles: Vec<_> = self.threads.drain(..).filter_map(|thread| thread.handle).collect();
        for handle in handles {
            if handle.join().is_err() {
                events::tell(&Event::ThreadPanicked {});
            }
        }
        if let Some(access) = &self.live.serving().edge.access {
            access.flush();
        }
    }
}

/// What requests run on, and what is spoken where.
fn serving(edge: Arc<Edge>, tls: Option<Arc<Terminator>>, listening: &Listening) -> Serving {
    let mut secure = 0..;
    let mut spoken = |listener: &Listener| match listener.speaks {
        Speaks::Clear { h2c } => Spoken::Clear { h2c },
        Speaks::Tls(_) => Spoken::Tls(secure.next().unwrap_or_default()),
    };
    let spoken: Vec<Spoken> = edge.config.listen.iter().map(&mut spoken).collect();
    let ids = listening.listeners.iter().map(|(id, _)| *id);
    Serving {
        listeners: ids.zip(spoken).collect(),
        edge,
        tls,
    }
}

impl Thread {
    fn start(index: usize, shared: Shared) -> io::Result<Thread> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let wakers = Arc::new(Wakers::default());
        let (orders, given) = mpsc::unbounded_channel();
        let its = Arc::clone(&wakers);
        let serve = move || {
            crate::telemetry::use_shard(index + 1);
            runtime.block_on(obey(given, shared, its));
            runtime.shutdown_background();
        };
        let handle = std::thread::Builder::new()
            .name(format!("verge-{index}"))
            .spawn(serve)?;
        Ok(Thread {
            orders,
            wakers,
            handle: Some(handle),
        })
    }

    fn order(&self, order: Order) {
        // An error says that the thread has ended, which closes everything.
        let _ = self.orders.send(order);
    }
}

/// Does what a thread is told to, until nobody is left to tell it anything.
async fn obey(mut orders: mpsc::UnboundedReceiver<Order>, shared: Shared, wakers: Arc<Wakers>) {
    let mut open: HashMap<ListenerId, oneshot::Sender<()>> = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Open(listener, socket, place) => match TcpListener::from_std(socket) {
                Ok(socket) => {
                    let (close, closed) = oneshot::channel();
                    open.insert(listener, close);
                    let (shared, wakers) = (shared.clone(), Arc::clone(&wakers));
                    let acceptor = Acceptor {
                        listener,
                        shared,
                        wakers,
                    };
                    tokio::spawn(async move {
                        acceptor.accept(socket, closed).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    let error = error.to_string();
                    events::tell(&Event::SocketFailed { error });
                }
            },
            // Dropping the sender tells the acceptor.
            Order::Close(listener) => drop(open.remove(&listener)),
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
