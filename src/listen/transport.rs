//! What HTTP needs of a connection.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A client's connection. What is written goes out at the latest when it is flushed.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes sure that dropping the connection is seen as an error by the client.
    fn abort(&mut self);

    /// Tells the client, if its socket takes it at once, that nothing more will come.
    fn farewell(&mut self);
}

impl Transport for TcpStream {
    fn abort(&mut self) {
        // With a linger time of none the kernel resets the connection. If it refuses, the close still shows for framed bodies.
        let _ = socket2::SockRef::from(&*self).set_linger(Some(std::time::Duration::ZERO));
    }

    /// Closing says it.
    fn farewell(&mut self) {}
}
