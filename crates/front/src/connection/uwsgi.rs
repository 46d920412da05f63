//! A connection of a gateway: one packet, one request, one response.

use appliance_gateway::{Callee, Gateway, Mount, Request};
use appliance_message::{Head, uwsgi};
use http::{StatusCode, Version};

use crate::account::Account;
use crate::connections::{DRAINING_HEAD_TICKS, Order, Phase};
use crate::error_page::{Form, error_page};
use crate::send::Manner;
use crate::socket::NextPacket;
use crate::uwsgi::{is_gateway, origin_of};

use super::{After, Connection};

/// How a packet begins, and no request of HTTP.
pub(super) const PACKET: &[u8] = &[uwsgi::WSGI];

impl<G: Gateway> Connection<G> {
    pub(super) async fn uwsgi(&mut self) {
        let gateway = self.origin;
        if !is_gateway(gateway.peer.ip(), gateway.is_trusted) {
            return self.front.complaints.stranger(gateway.peer.ip());
        }
        // Who has connected has a request, and a worker that drains waits for it: there is no other
        // way to tell a gateway that it should ask another one.
        let ticks = match self.status.order() {
            Order::None => self.front.head_ticks,
            _ => DRAINING_HEAD_TICKS,
        };
        self.status.enter(Phase::ReadingHead, ticks);
        let next = self.socket.packet(self.front.head_limits).await;
        if matches!(next, NextPacket::End) {
            return;
        }
        self.account = Some(Account::open());
        let after = match next {
            NextPacket::Packet(packet) => {
                let uwsgi::Packet { head, told } = *packet;
                self.origin =
                    origin_of(&told, gateway, |address| self.front.proxies.trust(address));
                self.told = Some(Box::new(told));
                self.status.enter(Phase::Busy, 0);
                self.answer_or_500(head, true).await
            }
            NextPacket::Refused(refusal) => {
                let peer = gateway.peer.ip();
                self.front.complaints.packet(peer, refusal.reason);
                self.log_what_is_no_request();
                self.refuse(refusal, false).await
            }
            NextPacket::TimedOut => {
                self.log_what_is_no_request();
                let page = error_page(StatusCode::REQUEST_TIMEOUT, Form::Line);
                self.last_words(page, Manner::of_refusal(false)).await;
                return;
            }
            NextPacket::End => return,
        };
        self.conclude();
        if after == After::Linger || self.socket.has_unread() {
            self.linger(u64::MAX).await;
        }
    }
}

impl<G> Connection<G> {
    /// The version that decides how a response is framed. A gateway takes no chunks, whatever its
    /// client knows.
    pub(super) fn version(&self, head: &Head) -> Version {
        match self.sites.is_uwsgi {
            true => Version::HTTP_10,
            false => head.version,
        }
    }

    /// Who the gateway says has asked; a route's own rules know better.
    pub(super) fn log_told_user(&mut self) {
        let user = self
            .told
            .as_ref()
            .and_then(|told| told.variable("REMOTE_USER"));
        let user = user.map(|user| String::from_utf8_lossy(user).into_owned());
        if let Some(entry) = self
            .account
            .as_mut()
            .and_then(|account| account.entry.as_mut())
        {
            entry.note_user(user.as_deref().filter(|user| !user.is_empty()));
        }
    }

    /// Tells the application what the gateway has told us. The path where that has it is its place,
    /// unless a route says where it is mounted.
    pub(super) fn tell(&mut self, request: &mut Request) {
        let Some(told) = self.told.take() else { return };
        if let Some(mount) = &told.mount
            && request.head.path().starts_with(&mount.prefix)
        {
            let callee = request.callee.get_or_insert_with(|| {
                Box::new(Callee {
                    other: None,
                    mount: None,
                })
            });
            callee.mount.get_or_insert_with(|| Mount {
                script_name: mount.script_name.clone(),
                len: mount.prefix.len(),
            });
        }
        request.told = Some(told);
    }
}
