//! The wait for a gateway's packet.

use std::future::poll_fn;
use std::task::{Poll, ready};

use appliance_message::uwsgi::{self, Packet};
use appliance_message::{Limits, Refusal};
use bytes::Buf;

use crate::connections::Order;

use super::Socket;

/// How it ended.
pub(crate) enum NextPacket {
    Packet(Box<Packet>),
    /// No packet, but bytes.
    Refused(Refusal),
    /// One that did not come to its end in time.
    TimedOut,
    /// The gateway has left.
    End,
}

impl Socket {
    /// Reads a packet; what follows it is the body's.
    pub(crate) async fn packet(&mut self, limits: Limits) -> NextPacket {
        poll_fn(|context| {
            loop {
                if self.status.order() == Order::TimeOut {
                    return Poll::Ready(NextPacket::TimedOut);
                }
                match uwsgi::parse(&self.unread, limits) {
                    Ok(Some((packet, len))) => {
                        self.unread.advance(len);
                        self.forget_if_empty();
                        return Poll::Ready(NextPacket::Packet(Box::new(packet)));
                    }
                    Ok(None) => {}
                    Err(refusal) => return Poll::Ready(NextPacket::Refused(refusal)),
                }
                let read = ready!(self.poll_read(context, |socket, bytes| {
                    socket.unread.extend_from_slice(bytes);
                }));
                match read {
                    Ok(Some(())) => {}
                    Ok(None) if !self.unread.is_empty() => {
                        return Poll::Ready(NextPacket::Refused(Refusal::UNFINISHED));
                    }
                    Ok(None) | Err(_) => return Poll::Ready(NextPacket::End),
                }
            }
        })
        .await
    }
}
