//! What keys do: nothing at once but to move about; what changes something is asked back.

use appliance_supervisor::{Request, Status};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::overlay::Overlay;
use crate::rates::History;
use crate::view::{Chosen, View};

/// All that a key can change.
#[derive(Debug, Default)]
pub(crate) struct State {
    history: History,
    chosen: Option<Chosen>,
    /// Its place among the choices, for when it is gone.
    place: usize,
    overlay: Option<Overlay>,
    /// What was answered to an order, or why there is no answer.
    notice: Option<String>,
    /// The server does not answer.
    is_silent: bool,
    /// The user wants to leave.
    pub(crate) leaves: bool,
}

/// Lines that a page has.
const PAGE: isize = 10;

impl State {
    pub(crate) fn view(&self) -> View<'_> {
        View {
            chosen: self.chosen.as_ref(),
            notice: self.notice.as_deref(),
            overlay: self.overlay.as_ref(),
            is_live: true,
            ..View::of(&self.history)
        }
    }

    /// The server has answered.
    pub(crate) fn hear(&mut self, status: Status) {
        self.history.add(status);
        if std::mem::take(&mut self.is_silent) {
            self.notice = None;
        }
        let choices = View::of(&self.history).choices();
        match choices
            .iter()
            .position(|choice| Some(choice) == self.chosen.as_ref())
        {
            Some(place) => self.place = place,
            None => {
                self.place = self.place.min(choices.len().saturating_sub(1));
                self.chosen = choices.get(self.place).cloned();
            }
        }
    }

    /// It has not.
    pub(crate) fn miss(&mut self, why: &str) {
        self.is_silent = true;
        self.notice = Some(format!("no answer, trying again: {why}"));
    }

    /// What came of an order.
    pub(crate) fn done(&mut self, order: &Request, answer: Result<String, String>) {
        match (order, answer) {
            (Request::Traceback { .. }, Ok(text)) => {
                let title = "traceback, also in the log".to_owned();
                self.overlay = Some(Overlay::Text {
                    title,
                    text,
                    from: 0,
                });
            }
            (_, Ok(text)) => self.notice = Some(text),
            (_, Err(text)) if text.lines().count() > 1 => {
                let title = "it was not done".to_owned();
                self.overlay = Some(Overlay::Text {
                    title,
                    text,
                    from: 0,
                });
            }
            (_, Err(text)) => self.notice = Some(text),
        }
    }

    /// Returns what the server is to do.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Option<Request> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            self.leaves |= matches!(key.code, KeyCode::Char('c' | 'C' | 'd' | 'D'));
            return None;
        }
        if let Some(overlay) = self.overlay.take() {
            return self.press_over(overlay, key.code);
        }
        if !self.is_silent {
            self.notice = None;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => self.leaves = true,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.overlay = Some(Overlay::Help),
            KeyCode::Up | KeyCode::Char('k') => self.choose(-1),
            KeyCode::Down | KeyCode::Char('j') => self.choose(1),
            KeyCode::PageUp => self.choose(-PAGE),
            KeyCode::PageDown => self.choose(PAGE),
            KeyCode::Home => self.choose(isize::MIN),
            KeyCode::End => self.choose(isize::MAX),
            KeyCode::Char('t') | KeyCode::Enter => return self.traceback(),
            KeyCode::Char('r') => self.ask_back("recycle", |pid| Request::Recycle { pid }),
            KeyCode::Char('d') => self.ask_back("drain", |pid| Request::Drain { pid }),
            KeyCode::Char('R') => {
                self.overlay = Some(Overlay::Confirm {
                    question: "reload the server: new code, packages and settings?".to_owned(),
                    request: Request::Reload,
                });
            }
            _ => {}
        }
        None
    }

    fn press_over(&mut self, overlay: Overlay, key: KeyCode) -> Option<Request> {
        match overlay {
            Overlay::Help => None,
            Overlay::Confirm { request, .. } => {
                matches!(key, KeyCode::Char('y' | 'Y')).then(|| {
                    self.notice = Some("asked for it".to_owned());
                    request
                })
            }
            Overlay::Text { title, text, from } => {
                let by = match key {
                    KeyCode::Up | KeyCode::Char('k') => -1,
                    KeyCode::Down | KeyCode::Char('j') => 1,
                    KeyCode::PageUp => -PAGE,
                    KeyCode::PageDown | KeyCode::Char(' ') => PAGE,
                    _ => return None,
                };
                let last = text.lines().count().saturating_sub(1);
                let from = from.saturating_add_signed(by).min(last);
                self.overlay = Some(Overlay::Text { title, text, from });
                None
            }
        }
    }

    fn choose(&mut self, by: isize) {
        let choices = View::of(&self.history).choices();
        let last = choices.len().saturating_sub(1);
        self.place = self.place.saturating_add_signed(by).min(last);
        self.chosen = choices.get(self.place).cloned();
    }

    fn traceback(&self) -> Option<Request> {
        Some(match self.chosen.clone()? {
            Chosen::Worker { pid } => Request::Traceback { pid, request: None },
            Chosen::Request { pid, id } => Request::Traceback {
                pid,
                request: Some(id),
            },
        })
    }

    /// About the chosen worker, or that of the chosen request.
    fn ask_back(&mut self, what: &str, order: impl Fn(u32) -> Request) {
        let (Some(Chosen::Worker { pid }) | Some(Chosen::Request { pid, .. })) = self.chosen else {
            return;
        };
        let view = View::of(&self.history);
        let worker = view.workers().iter().find(|worker| worker.pid == pid);
        let Some(number) = worker.map(|worker| worker.worker) else {
            return;
        };
        self.overlay = Some(Overlay::Confirm {
            question: format!("{what} worker {number} (process {pid})?"),
            request: order(pid),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::{request, status};

    fn press(state: &mut State, code: KeyCode) -> Option<Request> {
        state.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn state() -> State {
        let mut state = State::default();
        let mut status = status();
        let requests = vec![request("b", "/b", 2000), request("a", "/a", 1000)];
        status.workers[1].requests = Some(requests);
        state.hear(status);
        state
    }

    #[test]
    fn nothing_is_changed_before_it_is_confirmed() {
        for (key, order) in [
            ('r', Request::Recycle { pid: 4712 }),
            ('d', Request::Drain { pid: 4712 }),
            ('R', Request::Reload),
        ] {
            let mut state = state();
            for no in [
                KeyCode::Char('n'),
                KeyCode::Esc,
                KeyCode::Enter,
                KeyCode::Char(key),
            ] {
                assert_eq!(press(&mut state, KeyCode::Char(key)), None);
                assert_eq!(press(&mut state, no), None);
                assert_eq!(state.overlay, None);
                assert!(!state.leaves);
            }
            assert_eq!(press(&mut state, KeyCode::Char(key)), None);
            assert_eq!(press(&mut state, KeyCode::Char('y')), Some(order));
        }
    }

    #[test]
    fn what_is_chosen_stays_chosen_where_it_moves_to() {
        let mut state = state();
        press(&mut state, KeyCode::End);
        let chosen = Chosen::Request {
            pid: 4713,
            id: "a".to_owned(),
        };
        assert_eq!(state.chosen, Some(chosen.clone()));
        let mut later = status();
        let requests = vec![request("a", "/a", 3000), request("c", "/c", 1)];
        later.workers[1].requests = Some(requests);
        state.hear(later);
        assert_eq!(state.chosen, Some(chosen));
        assert_eq!(
            press(&mut state, KeyCode::Char('t')),
            Some(Request::Traceback {
                pid: 4713,
                request: Some("a".to_owned())
            })
        );
        // It has ended: what stands in its place is chosen.
        state.hear(status());
        assert_eq!(state.chosen, Some(Chosen::Worker { pid: 4713 }));
    }

    #[test]
    fn a_server_that_does_not_answer_is_told_of_until_it_does() {
        let mut state = state();
        state.miss("no server of this project is running");
        press(&mut state, KeyCode::Down);
        assert_eq!(
            state.view().notice,
            Some("no answer, trying again: no server of this project is running")
        );
        state.hear(status());
        assert_eq!(state.view().notice, None);
    }

    #[test]
    fn a_traceback_can_be_scrolled_to_its_end() {
        let mut state = state();
        let order = Request::Traceback {
            pid: 1,
            request: None,
        };
        state.done(&order, Ok("one\ntwo\nthree".to_owned()));
        for key in [KeyCode::Down, KeyCode::PageDown, KeyCode::Down, KeyCode::Up] {
            press(&mut state, key);
        }
        assert!(matches!(state.overlay, Some(Overlay::Text { from: 1, .. })));
        press(&mut state, KeyCode::Char('q'));
        assert_eq!((&state.overlay, state.leaves), (&None, false));
        press(&mut state, KeyCode::Char('q'));
        assert!(state.leaves);
    }
}
