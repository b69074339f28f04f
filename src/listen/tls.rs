//! A connection over TLS: rustls on our own socket.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::{Acceptor, ClientHello};
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::transport::Transport;

/// Plain bytes that are sealed ahead of the client's taking them, and written at once.
const SEALED: usize = 128 * 1024;

/// What a client gets that speaks HTTP in clear text where TLS is spoken.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
connection: close\r\ncontent-length: 54\r\n\r\nThis port speaks TLS: write https:// before its name.\n";

/// A client's connection over TLS. What is written goes out when it is flushed, or when there is much of it.
pub struct TlsStream {
    io: TcpStream,
    session: Box<ServerConnection>,
    /// The client's socket has ended.
    ended: bool,
}

impl TlsStream {
    /// Shakes hands; `choose` gives the configuration for what the client asks for. Errors have been told to the client.
    pub async fn accept(
        mut io: TcpStream,
        choose: impl FnOnce(&ClientHello<'_>) -> Arc<ServerConfig>,
    ) -> io::Result<TlsStream> {
        let mut acceptor = Acceptor::default();
        let accepted = loop {
            std::future::poll_fn(|cx| {
                let read = acceptor.read_tls(&mut Socket { io: &mut io, cx });
                to_poll(read)
            })
            .await
            .and_then(|read| {
                if read == 0 {
                    Err(io::ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(())
                }
            })?;
            match acceptor.accept() {
                Ok(Some(accepted)) => break accepted,
                Ok(None) => {}
                Err((error, mut alert)) => {
                    refuse(&io, &error, |out| alert.write_all(out));
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        };
        let config = choose(&accepted.client_hello());
        let session = accepted.into_connection(config).map_err(|(error, mut alert)| {
            refuse(&io, &error, |out| alert.write_all(out));
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
        let mut stream = TlsStream {
            io,
            session: Box::new(session),
            ended: false,
        };
        stream.session.set_buffer_limit(Some(SEALED));
        std::future::poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    /// What was agreed on.
    pub fn session(&self) -> &ServerConnection {
        &self.session
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.is_handshaking() {
            ready!(self.poll_write_sealed(cx))?;
            if self.session.is_handshaking() && ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all that is sealed to the socket.
    fn poll_write_sealed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut socket = Socket { io: &mut self.io, cx };
            let written = self.session.write_tls(&mut socket);
            if ready!(to_poll(written))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once from the socket, and opens what came. `0` is the socket's end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut socket = Socket { io: &mut self.io, cx };
        let read = self.session.read_tls(&mut socket);
        let read = ready!(to_poll(read))?;
        if let Err(error) = self.session.process_new_packets() {
            // The alert that says why, if the socket takes it at once.
            let _ = self.poll_write_sealed(cx);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(read))
    }

    /// Copies opened bytes to `buf`. `Ok(false)` if there are none yet.
    fn take_opened(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        let mut reader = self.session.reader();
        match reader.fill_buf() {
            Ok(opened) => {
                let taken = opened.len().min(buf.remaining());
                buf.put_slice(&opened[..taken]);
                reader.consume(taken);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            if this.take_opened(buf)? {
                // One record may be smaller than what there is.
                while buf.filled().len() > before && buf.remaining() > 0 {
                    let have = buf.filled().len();
                    if !matches!(this.take_opened(buf), Ok(true)) || buf.filled().len() == have {
                        break;
                    }
                }
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                // RFC 8446 6.1: without its close_notify a client was cut off.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            match this.poll_receive(cx) {
                Poll::Ready(read) => this.ended = read? == 0,
                Poll::Pending => {
                    // Session tickets wait for an answer to go out with, but not for longer than the client does.
                    if let Poll::Ready(Err(error)) = this.poll_write_sealed(cx) {
                        return Poll::Ready(Err(error));
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            // Less than all, or nothing at all, once much is sealed and not yet written.
            let sealed = this.session.writer().write_vectored(bufs)?;
            if sealed > 0 || bufs.iter().all(|buf| buf.is_empty()) {
                return Poll::Ready(Ok(sealed));
            }
            ready!(this.poll_write_sealed(cx))?;
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_write_sealed(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.send_close_notify();
        ready!(this.poll_write_sealed(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl Transport for TlsStream {
    fn abort(&mut self) {
        self.io.abort();
    }

    fn farewell(&mut self) {
        self.session.send_close_notify();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        // A client whose socket takes nothing sees the close all the same.
        let _ = self.poll_write_sealed(&mut cx);
    }
}

/// Tells a client, if its socket takes it at once, why it gets no connection.
fn refuse(io: &TcpStream, error: &rustls::Error, alert: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut told = Vec::new();
    match error {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => told.extend_from_slice(NOT_TLS),
        _ => {
            // Writing to memory does not fail.
            let _ = alert(&mut told);
        }
    }
    let _ = io.try_write(&told);
}

/// The socket as rustls wants it: one attempt at a time, which says if it would have to wait.
struct Socket<'a, 'c> {
    io: &'a mut TcpStream,
    cx: &'a mut Context<'c>,
}

impl Read for Socket<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buf) {
            Poll::Ready(read) => read.map(|()| buf.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.io).poll_write(self.cx, buf) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match Pin::new(&mut *self.io).poll_write_vectored(self.cx, bufs) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What would block is pending: the socket has taken the waker.
fn to_poll<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}
